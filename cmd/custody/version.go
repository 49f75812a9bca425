package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"custody/index"
	"custody/index/fingerprint"
)

// versionInfo is what `custody version --json` prints.
type versionInfo struct {
	Schema   string  `json:"schema"`
	Version  string  `json:"version"`
	Revision *string `json:"revision"`
	Norm     int     `json:"norm"`
	Store    int     `json:"store"`
	Go       string  `json:"go"`
	Platform string  `json:"platform"`
}

func versionCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "The version of the program, of its fingerprints and of its store",
		Long:    "Prints the program's version, the version of the fingerprints it makes (norm)\nand of the store it reads and writes.",
		Example: examples("custody version", "custody version --json"),
		Args:    exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			v := readVersion()
			return a.answer(v, func(w io.Writer) {
				rev := ""
				if v.Revision != nil {
					rev = " (" + *v.Revision + ")"
				}
				fmt.Fprintf(w, "custody %s%s\nnorm %d, store format %d\n%s %s\n", v.Version, rev, v.Norm, v.Store, v.Go, v.Platform)
			})
		},
	}
}

func readVersion() versionInfo {
	v := versionInfo{Schema: "custody.version/1", Version: "(devel)", Norm: fingerprint.Norm, Store: index.Version,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = &s.Value
		}
	}
	return v
}

// generator names the program in what it records.
func generator() string { return "custody " + readVersion().Version }
