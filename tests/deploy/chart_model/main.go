// Command chart_model lints and renders a chart as `helm lint` and `helm template` would, by the libraries that they
// consist of: values over the chart's own, their schema, the templates and the rules are Helm's. The whole of helm takes
// minutes to build, and its commands add the cluster that nobody has here.
//
//	chart_model CHART < REQUESTS > ANSWERS
//
// Both are JSON: a list of cases, and a list of what became of each, in their order.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
)

type request struct {
	Release    string         `json:"release"`
	Namespace  string         `json:"namespace"`
	Kubernetes string         `json:"kubernetes"`
	Values     map[string]any `json:"values"`
	Lint       bool           `json:"lint"`
}

type answer struct {
	Files map[string]string `json:"files"`
	Lint  []string          `json:"lint"`
	Error string            `json:"error"`
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder string) error {
	var requests []request
	if err := json.NewDecoder(os.Stdin).Decode(&requests); err != nil {
		return err
	}
	answers := make([]answer, 0, len(requests))
	for _, asked := range requests {
		files, err := render(folder, asked)
		given := answer{Files: files}
		if err != nil {
			given.Error = err.Error()
		}
		if asked.Lint {
			given.Lint = complaints(folder, asked)
		}
		answers = append(answers, given)
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

func render(folder string, asked request) (map[string]string, error) {
	loaded, err := loader.Load(folder)
	if err != nil {
		return nil, err
	}
	version, err := common.ParseKubeVersion(asked.Kubernetes)
	if err != nil {
		return nil, err
	}
	if wanted := loaded.Metadata.KubeVersion; wanted != "" && !chartutil.IsCompatibleRange(wanted, version.Version) {
		return nil, fmt.Errorf("chart requires kubeVersion: %s which is incompatible with Kubernetes %s", wanted, version.Version)
	}
	if err := chartutil.ProcessDependencies(loaded, asked.Values); err != nil {
		return nil, err
	}
	capabilities := common.DefaultCapabilities.Copy()
	capabilities.KubeVersion = *version
	release := common.ReleaseOptions{Name: asked.Release, Namespace: asked.Namespace, Revision: 1, IsInstall: true}
	values, err := util.ToRenderValues(loaded, asked.Values, release, capabilities)
	if err != nil {
		return nil, err
	}
	// As `helm lint --strict`: a value that is not there is a fault.
	rendered, err := engine.Engine{Strict: true}.Render(loaded, values)
	if err != nil {
		return nil, err
	}
	return named(loaded, rendered), nil
}

// named leaves out what renders to nothing, and the chart's name from the paths.
func named(loaded *chart.Chart, rendered map[string]string) map[string]string {
	files := map[string]string{}
	for name, text := range rendered {
		if strings.TrimSpace(text) != "" && !strings.HasPrefix(path.Base(name), "_") {
			files[strings.TrimPrefix(name, loaded.Name()+"/templates/")] = text
		}
	}
	return files
}

func complaints(folder string, asked request) []string {
	said := []string{}
	for _, message := range lint.RunAll(folder, asked.Values, asked.Namespace).Messages {
		said = append(said, message.Error())
	}
	return said
}
