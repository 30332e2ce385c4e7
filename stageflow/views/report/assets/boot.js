"use strict";
// Unpacks the page's program, which is packed so that a report stays small, and runs it; the policy knows its digest.

(async () => {
  const packed = Uint8Array.from(atob(document.getElementById("packed").textContent), (letter) => letter.charCodeAt(0));
  const script = document.createElement("script");
  script.textContent = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
  document.body.append(script);
})().catch((error) => {
  document.getElementById("unready").textContent = `This browser cannot show the report (${error.message}). Any browser since 2023 can.`;
});
