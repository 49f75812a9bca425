package inquiry

import (
	"embed"
	"slices"
	"strings"
)

//go:embed presets/*.yaml
var presets embed.FS

// Presets are the names of the inquiries that come with the program.
func Presets() []string {
	entries, err := presets.ReadDir("presets")
	if err != nil {
		panic(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(names)
	return names
}

// Preset is the file of an inquiry that comes with the program.
func Preset(name string) ([]byte, bool) {
	data, err := presets.ReadFile("presets/" + name + ".yaml")
	return data, err == nil
}
