// SPDX-License-Identifier: Apache-2.0
import { mount } from "svelte";
import "./app.css";
import App from "./App.svelte";
import { theme } from "./lib/theme.svelte";

theme.start();
mount(App, { target: document.getElementById("app") as HTMLElement });
