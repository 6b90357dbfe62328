// Package openapi holds the OpenAPI 2.0 document of the typed API under /api/v1/.
package openapi

import _ "embed"

// Document is the JSON document, as generated from the annotations.
//
//go:embed penstock.swagger.json
var Document []byte
