// Shows the API's description. A signed-in browser can try the requests: Django's CSRF token goes along.
const place = document.querySelector("#swagger-ui");
const token = () => document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1];

window.SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  deepLinking: true,
  validatorUrl: null, // it would send the description to somebody else's server
  requestInterceptor(request) {
    const own = new URL(request.url, location.href).origin === location.origin;
    if (own && token()) request.headers["X-CSRFToken"] = token();
    return request;
  },
});
