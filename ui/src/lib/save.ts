// SPDX-License-Identifier: Apache-2.0
/** Hand a file to the browser's downloads. */
export function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // a download may begin late
}

/** `front-door_2026-11-21_14-03-22.png`: safe on every file system. */
export function fileName(camera: string, at: Date, suffix: string): string {
  const two = (n: number): string => String(n).padStart(2, "0");
  const stem = camera.normalize("NFKD").replace(/[^\w]+/g, "-").replace(/^-+|-+$/g, "").toLowerCase() || "camera";
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${stem}_${date}_${two(at.getHours())}-${two(at.getMinutes())}-${two(at.getSeconds())}.${suffix}`;
}
