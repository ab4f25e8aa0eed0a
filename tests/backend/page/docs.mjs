// Has Swagger UI ask for addresses, and prints the headers of these requests. It is told the addresses.

import { run, selected, told } from "./browser.mjs";

globalThis.location = { href: "https://framebatch.test/api/docs", origin: "https://framebatch.test" };
selected["#swagger-ui"] = [{ dataset: { schema: "/api/schema" } }];
let description;
window.SwaggerUIBundle = (given) => {
  description = given;
};
await run("docs.js");

const headers = told.urls.map((url) => description.requestInterceptor({ url, headers: {} }).headers);
console.log(JSON.stringify({ url: description.url, headers }));
