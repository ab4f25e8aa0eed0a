// Shows the API's description. A signed-in browser can try the requests: Django's CSRF token goes along.

import { csrfToken } from "./api.js";

const place = document.querySelector("#swagger-ui");

window.SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  deepLinking: true,
  validatorUrl: null, // it would send the description to somebody else's server
  requestInterceptor(request) {
    const own = new URL(request.url, location.href).origin === location.origin;
    if (own && csrfToken()) request.headers["X-CSRFToken"] = csrfToken();
    return request;
  },
});
