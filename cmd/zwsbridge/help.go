package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/cmd/zwsbridge/manual"
)

func newHelp() *cobra.Command {
	var man string
	cmd := &cobra.Command{
		Use:   "help [COMMAND | TOPIC]",
		Short: "Show a page of the manual, or the help of a command",
		Long: `Show a page of the manual, or the help of a command. Without an argument, list
both.

With --man, write man pages of all commands and topics below a directory, such
as /usr/local/share/man.`,
		Example: "  zwsbridge help start\n  zwsbridge help token mint\n  zwsbridge help --man /usr/local/share/man",
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			if man != "" {
				return writeMan(root, man)
			}
			if len(args) == 0 {
				if err := root.Help(); err != nil {
					return err
				}
				return listTopics(out)
			}
			if found, rest, err := root.Find(args); err == nil && len(rest) == 0 && found != root {
				return found.Help()
			}
			text, ok := manual.Text(args[0])
			if !ok || len(args) > 1 {
				return usagef("%q is neither a command nor a topic; see 'zwsbridge help'", strings.Join(args, " "))
			}
			_, err := io.WriteString(out, text)
			return err
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, topic := range manual.Topics() {
				names = append(names, topic.Name+"\t"+topic.Title)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().StringVar(&man, "man", "", "write man pages below `dir`")
	return cmd
}

func listTopics(out io.Writer) error {
	fmt.Fprint(out, "\nTopics of the manual, shown by 'zwsbridge help TOPIC':\n")
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, topic := range manual.Topics() {
		fmt.Fprintf(table, "  %s\t%s\n", topic.Name, topic.Title)
	}
	return table.Flush()
}
