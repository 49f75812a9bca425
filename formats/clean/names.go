package clean

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"custody/formats"
)

// Names are the names of a corpus's files in an output folder, relative and with
// "/": below the one folder that was named, or each path by its last element, as
// cp -r has them. Two files of one name, or one with the receipt's, are an error.
// codec is of standard input, which is called stdin.jsonl.
func Names(paths []string, files []*formats.File, codec string) ([]string, error) {
	roots, err := expand(paths, files)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(files))
	taken := map[string]string{strings.ToLower(Name): "the receipt"}
	for i, f := range files {
		name := "stdin.jsonl" + formats.CodecEnding(codec)
		if f.Path != "-" {
			name = nameIn(roots, f.Path, len(paths) == 1)
		}
		if !filepath.IsLocal(filepath.FromSlash(name)) { // a key may be any text
			return nil, fmt.Errorf("%s: of a name that no file can have here", f.Path)
		}
		key := strings.ToLower(name) // some systems make no difference
		if other, ok := taken[key]; ok {
			return nil, fmt.Errorf("%s and %s would both be %s", other, f.Path, name)
		}
		taken[key] = f.Path
		names[i] = name
	}
	return names, nil
}

// expand resolves patterns, with "/".
func expand(paths []string, files []*formats.File) ([]string, error) {
	var roots []string
	for _, p := range paths {
		if formats.IsAddress(p) {
			roots = append(roots, expandAddress(p, files)...)
			continue
		}
		hits := []string{p}
		if _, err := os.Stat(p); err != nil && p != "-" {
			if hits, err = filepath.Glob(p); err != nil {
				return nil, err
			}
		}
		for _, h := range hits {
			roots = append(roots, path.Clean(filepath.ToSlash(h)))
		}
	}
	return roots, nil
}

// expandAddress resolves an address: where it is a pattern, to what it matched.
func expandAddress(address string, files []*formats.File) []string {
	root := path.Clean(formats.ShownPath(address))
	parts := strings.Count(root, "/") + 1
	roots := []string{root}
	for _, f := range files {
		name := strings.SplitN(path.Clean(f.Path), "/", parts+1)
		if hit := strings.Join(name[:min(parts, len(name))], "/"); f.IsRemote() && !slices.Contains(roots, hit) {
			if ok, err := path.Match(root, hit); ok && err == nil {
				roots = append(roots, hit)
			}
		}
	}
	return roots
}

// nameIn is a file's name by the longest root that it is below.
func nameIn(roots []string, file string, alone bool) string {
	file = path.Clean(file)
	best := ""
	for _, r := range roots {
		below := r == file || r == "." && !path.IsAbs(file) && !strings.HasPrefix(file, "../") || strings.HasPrefix(file, strings.TrimSuffix(r, "/")+"/")
		if below && len(r) > len(best) {
			best = r
		}
	}
	switch {
	case best == "" || best == file:
		return path.Base(file)
	case best == ".":
		return file
	}
	rest := strings.TrimPrefix(file, strings.TrimSuffix(best, "/")+"/")
	if base := path.Base(best); !(alone && len(roots) == 1) && base != ".." && base != "/" {
		return base + "/" + rest
	}
	return rest
}
