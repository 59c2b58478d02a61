"use strict";

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  // The badge would send this document to a service elsewhere.
  validatorUrl: null,
});
