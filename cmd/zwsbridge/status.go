package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/cmd/zwsbridge/adminclient"
)

func newStatus() *cobra.Command {
	var f adminFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what a running bridge does and what is wrong",
		Long: `Show connections, problems and routes of a bridge that runs. IN and OUT count the
messages from and to clients since the start.` + adminHelp,
		Example: "  zwsbridge status\n  zwsbridge status --url https://bridge.lan --login ann",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := f.client(cmd)
			if err != nil {
				return err
			}
			summary, err := client.Summary(cmd.Context())
			if err != nil {
				return f.explain(err)
			}
			ready, err := client.Readiness(cmd.Context())
			if err != nil {
				return f.explain(err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), struct {
					adminclient.Summary
					adminclient.Readiness
				}{summary, ready})
			}
			return printStatus(cmd.OutOrStdout(), &summary, &ready)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

func printStatus(w io.Writer, s *adminclient.Summary, r *adminclient.Readiness) error {
	state := "ready"
	switch {
	case len(r.Unready) > 0:
		state = "not ready: no clients can be served"
	case len(r.Degraded) > 0:
		state = "degraded: not all clients can be served"
	}
	limit := ""
	if s.MaxConnections > 0 {
		limit = fmt.Sprintf(" of at most %d", s.MaxConnections)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "state\t%s\n", state)
	for _, problem := range append(r.Unready, r.Degraded...) {
		fmt.Fprintf(table, "\t%s\n", formatFrame([]byte(problem)))
	}
	if s.Version != "" {
		fmt.Fprintf(table, "version\t%s\n", s.Version)
	}
	fmt.Fprintf(table, "running\t%s, since %s\n", since(s.Since), s.Since.Local().Format(time.RFC3339))
	fmt.Fprintf(table, "connections\t%d%s\n", s.Connections, limit)
	if s.Draining > 0 {
		fmt.Fprintf(table, "draining\t%d left of the process before\n", s.Draining)
	}
	if len(s.Routes) > 0 {
		// An empty line ends the columns of a tabwriter.
		fmt.Fprint(table, "\nROUTE\tSOCKET\tSESSIONS\tIN\tOUT\tDROPPED\tWAITING\n")
	}
	for _, r := range s.Routes {
		fmt.Fprintf(table, "%s\n", strings.Join([]string{r.Path, r.Socket, fmt.Sprint(r.Sessions), fmt.Sprint(r.MessagesIn),
			fmt.Sprint(r.MessagesOut), fmt.Sprint(r.Dropped), fmt.Sprint(r.Waiting)}, "\t"))
	}
	return table.Flush()
}
