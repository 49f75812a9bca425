package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func completionCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "A script that completes verbs and flags in a shell",
		Long:  "Prints the script that lets a shell complete verbs, flags and file names.",
		Example: examples(
			"source <(custody completion bash)",
			"custody completion zsh > ~/.zfunc/_custody",
			"custody completion fish > ~/.config/fish/completions/custody.fish"),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		Args:      exactly(1, "the name of a shell"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.stdout, true)
			case "zsh":
				return root.GenZshCompletion(a.stdout)
			case "fish":
				return root.GenFishCompletion(a.stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.stdout)
			}
			return usage(cmd, fmt.Errorf("completion: no script for %q", args[0]))
		},
	}
}
