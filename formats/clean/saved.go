package clean

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// The files that Hugging Face's save_to_disk writes beside its Arrow files.
const (
	stateFile = "state.json"
	infoFile  = "dataset_info.json"
	dictFile  = "dataset_dict.json"
)

// savedFolder is a folder that save_to_disk wrote, and what became of its files.
type savedFolder struct {
	from, to string // to is relative, with "/"
	state    map[string]json.RawMessage
	names    []string // of its state, in that order
	left     map[string]bool
	changed  bool
	digest   []byte // of what is left
}

// saved writes what makes folders of save_to_disk whole again: a state that lists the
// files that are left, under another fingerprint where some changed, for caches go
// by that; the description, without sizes that are no longer right; the list of
// splits. done is in the order of the files.
func (p *Plan) saved(dir string, names []string, done []FileReceipt) error {
	folders := map[string]*savedFolder{}
	var order []*savedFolder
	for i, f := range p.files {
		if f.file.Path == "-" || f.file.IsRemote() {
			continue
		}
		from := path.Dir(f.file.Path)
		s, known := folders[from]
		if !known {
			s = readSaved(from)
			if folders[from] = s; s != nil {
				s.to = path.Dir(names[i])
				order = append(order, s)
			}
		}
		base := path.Base(f.file.Path)
		if s == nil || !slices.Contains(s.names, base) {
			continue
		}
		r := &done[i]
		kept := r.SHA256After != nil && path.Base(names[i]) == base
		s.left[base] = kept
		s.changed = s.changed || !kept || r.Action == Cleaned
		if kept {
			s.digest = append(s.digest, *r.SHA256After...)
		}
	}
	parents := map[string]string{} // of splits: where they were, and are
	for _, s := range order {
		if err := s.write(filepath.Join(dir, filepath.FromSlash(s.to))); err != nil {
			return err
		}
		if s.to != "." {
			parents[path.Dir(s.from)] = path.Dir(s.to)
		}
	}
	for from, to := range parents {
		if err := writeSplits(filepath.FromSlash(from), filepath.Join(dir, filepath.FromSlash(to))); err != nil {
			return err
		}
	}
	return nil
}

// writeSplits lists the splits that are left of a folder of several.
func writeSplits(from, to string) error {
	raw, err := os.ReadFile(filepath.Join(from, dictFile))
	if err != nil {
		return nil //nolint:nilerr // a folder of one split has none
	}
	var dict map[string]json.RawMessage
	var splits, left []string
	if json.Unmarshal(raw, &dict) != nil || json.Unmarshal(dict["splits"], &splits) != nil {
		return nil
	}
	for _, name := range splits {
		if fileExists(filepath.Join(to, name, stateFile)) {
			left = append(left, name)
		}
	}
	if len(left) == 0 {
		return nil
	}
	if dict["splits"], err = json.Marshal(left); err != nil {
		return err
	}
	return writeJSON(filepath.Join(to, dictFile), dict)
}

// readSaved is the folder's state, nil where it is none of save_to_disk.
func readSaved(from string) *savedFolder {
	s := &savedFolder{from: from, left: map[string]bool{}}
	raw, err := os.ReadFile(filepath.Join(filepath.FromSlash(from), stateFile))
	if err != nil || len(raw) > 64<<20 || json.Unmarshal(raw, &s.state) != nil {
		return nil
	}
	var files []struct {
		Filename string `json:"filename"`
	}
	if json.Unmarshal(s.state["_data_files"], &files) != nil || len(files) == 0 {
		return nil
	}
	for _, f := range files {
		s.names = append(s.names, f.Filename)
	}
	return s
}

func (s *savedFolder) write(to string) error {
	type file struct {
		Filename string `json:"filename"`
	}
	files := []file{}
	for _, name := range s.names {
		if kept, met := s.left[name]; kept || !met && fileExists(filepath.Join(to, name)) {
			files = append(files, file{name})
		} else {
			s.changed = true
		}
	}
	if len(files) == 0 {
		return nil // nothing of the folder is left
	}
	var err error
	if s.state["_data_files"], err = json.Marshal(files); err != nil {
		return err
	}
	if s.changed {
		sum := sha256.Sum256(s.digest)
		s.state["_fingerprint"] = json.RawMessage(`"` + hex.EncodeToString(sum[:8]) + `"`)
	}
	if err := writeJSON(filepath.Join(to, stateFile), s.state); err != nil {
		return err
	}
	from := filepath.FromSlash(s.from)
	if raw, err := os.ReadFile(filepath.Join(from, infoFile)); err == nil {
		var info map[string]json.RawMessage
		if json.Unmarshal(raw, &info) == nil && s.changed {
			for _, size := range []string{"splits", "download_checksums", "download_size", "dataset_size", "size_in_bytes", "post_processing_size"} {
				if _, there := info[size]; there {
					info[size] = json.RawMessage("null")
				}
			}
			err = writeJSON(filepath.Join(to, infoFile), info)
		} else {
			err = writeBytes(filepath.Join(to, infoFile), raw)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func fileExists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

func writeJSON(name string, v map[string]json.RawMessage) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return writeBytes(name, raw)
}

func writeBytes(name string, raw []byte) error {
	return whole(name, func(dst io.Writer) error {
		_, err := io.Copy(dst, bytes.NewReader(raw))
		return err
	})
}
