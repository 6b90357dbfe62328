package main

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// typedRoute is an RPC's method and path on the typed API.
type typedRoute struct {
	verb string
	path string
	// pattern matches the paths that a request may have.
	pattern *regexp.Regexp
}

var pathVariable = regexp.MustCompile(`\{[^}=]*(=\*\*)?\}`)

func routeOf(method protoreflect.MethodDescriptor) typedRoute {
	rule := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	route := typedRoute{}
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		route.verb, route.path = http.MethodGet, pattern.Get
	case *annotations.HttpRule_Post:
		route.verb, route.path = http.MethodPost, pattern.Post
	case *annotations.HttpRule_Put:
		route.verb, route.path = http.MethodPut, pattern.Put
	case *annotations.HttpRule_Patch:
		route.verb, route.path = http.MethodPatch, pattern.Patch
	case *annotations.HttpRule_Delete:
		route.verb, route.path = http.MethodDelete, pattern.Delete
	}
	var expression strings.Builder
	literal := 0
	for _, at := range pathVariable.FindAllStringSubmatchIndex(route.path, -1) {
		expression.WriteString(regexp.QuoteMeta(route.path[literal:at[0]]))
		if at[2] >= 0 {
			expression.WriteString(".+")
		} else {
			expression.WriteString("[^/:]+")
		}
		literal = at[1]
	}
	expression.WriteString(regexp.QuoteMeta(route.path[literal:]))
	route.pattern = regexp.MustCompile("^" + expression.String() + "$")
	return route
}

// typedRoutes are all of them.
type typedRoutes []typedRoute

func newTypedRoutes() typedRoutes {
	var routes typedRoutes
	for _, method := range typedMethods() {
		routes = append(routes, routeOf(method))
	}
	return routes
}

// allowed gives the methods that a path takes, for the field Allow.
func (t typedRoutes) allowed(path string) string {
	var verbs []string
	for _, route := range t {
		if route.pattern.MatchString(path) && !slices.Contains(verbs, route.verb) {
			verbs = append(verbs, route.verb)
		}
	}
	slices.Sort(verbs)
	return strings.Join(verbs, ", ")
}
