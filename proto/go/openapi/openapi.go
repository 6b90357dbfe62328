// Package openapi holds the OpenAPI 3.1 document of the public HTTP API.
package openapi

import _ "embed"

// Document is the JSON document, as generated from the annotations and the types of the wire formats.
//
//go:embed penstock.openapi.json
var Document []byte
