package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
)

// TestHelp holds every verb to a help text with examples, each of them a line
// that begins with the verb or is fed to it, and every flag to a description.
func TestHelp(t *testing.T) {
	a := &app{stdin: strings.NewReader(""), stdout: io.Discard, ui: ui.New(io.Discard, "custody", time.Now), now: time.Now}
	verbs := 0
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		if cmd.HasParent() && cmd.Name() != "help" {
			verbs++
			if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
				t.Errorf("%s: short help %q", cmd.CommandPath(), cmd.Short)
			}
			if !strings.Contains(cmd.Example, cmd.CommandPath()) {
				t.Errorf("%s: no example", cmd.CommandPath())
			}
			for l := range strings.Lines(cmd.Long) {
				if len([]rune(strings.TrimSpace(l))) > 84 {
					t.Errorf("%s: a line of %d columns: %q", cmd.CommandPath(), len([]rune(l)), l)
				}
			}
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(newRoot(a))
	if verbs < 15 {
		t.Errorf("only %d verbs", verbs)
	}
}
