// SPDX-License-Identifier: Apache-2.0
/** Light, dark, or as the system has it. Kept in this browser only. */

export type Theme = "system" | "light" | "dark";
const KEY = "cc.theme";

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system"; // storage may be forbidden; the switch then lasts as long as the page
  }
}

class ThemeChoice {
  choice = $state<Theme>("system");

  start(): void {
    this.set(stored());
  }

  set(choice: Theme): void {
    this.choice = choice;
    if (choice === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
    try {
      if (choice === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, choice);
    } catch {
      // see stored()
    }
    dispatchEvent(new Event("cc-theme")); // canvases repaint: they have no style sheet
  }
}

export const theme = new ThemeChoice();
