package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/bridge"
)

func newSessions() *cobra.Command {
	var f adminFlags
	var user, route string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List the clients that are logged in to a running bridge",
		Long: `List the sessions of a bridge that runs, oldest first: with its number, for kick;
what waits to be sent to the client (QUEUED), how many seconds the oldest of that
has waited (LAG), and how many messages the client has lost (DROPPED).` + adminHelp,
		Example: "  zwsbridge sessions --user alice\n  zwsbridge sessions --route /devices --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := f.client(cmd)
			if err != nil {
				return err
			}
			list, err := client.Sessions(cmd.Context(), user, route)
			if err != nil {
				return f.explain(err)
			}
			if asJSON {
				return printLines(cmd.OutOrStdout(), list)
			}
			return printSessions(cmd.OutOrStdout(), list)
		},
	}
	f.register(cmd)
	cmd.Flags().StringVarP(&user, "user", "u", "", "only those of user `name`")
	cmd.Flags().StringVarP(&route, "route", "r", "", "only those on the route at `path`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

// printLines prints each object on a line.
func printLines(w io.Writer, list []json.RawMessage) error {
	for _, object := range list {
		if _, err := fmt.Fprintf(w, "%s\n", object); err != nil {
			return err
		}
	}
	return nil
}

// printJSON prints v on a line.
func printJSON(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }

func printSessions(w io.Writer, list []json.RawMessage) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SESSION\tUSER\tROUTE\tADDRESS\tDIALECT\tSINCE\tQUEUED\tLAG\tDROPPED")
	for _, object := range list {
		var s bridge.Session
		if err := json.Unmarshal(object, &s); err != nil {
			return err
		}
		dialect := s.Dialect
		if s.Multiplexed { // beside its channels
			dialect += " (" + plural(s.Channels, "channel") + ")"
		}
		user := s.User
		if user == "" {
			user = "-"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%.1f\t%d\n", s.Number, user, s.Route, s.Address, dialect, since(s.Since), s.Messages, s.Lag, s.Dropped)
	}
	return table.Flush()
}

func newKick() *cobra.Command {
	var f adminFlags
	var byName bool
	cmd := &cobra.Command{
		Use:   "kick USER|SESSION",
		Short: "End the sessions of a user, or one session, of a running bridge",
		Long: `End every session of a user, or the session of a number that sessions lists, with
close code 4401. The user can log in again: to prevent that, remove the user first
(passwd --delete).

Digits alone are the number of a session, unless --user is given. The command fails
if there was no such session.` + adminHelp,
		Example: "  zwsbridge kick alice\n  zwsbridge kick 7",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, user := uint64(0), args[0]
			if n, err := strconv.ParseUint(user, 10, 64); err == nil && n > 0 && !byName {
				number, user = n, ""
			}
			if number == 0 && user == "" {
				return usagef("the name of the user is empty: want a name, or the number of a session")
			}
			client, err := f.client(cmd)
			if err != nil {
				return err
			}
			n, err := client.Kick(cmd.Context(), number, user)
			switch {
			case err != nil:
				return f.explain(err)
			case n == 0 && number != 0:
				return fmt.Errorf("session %d does not exist", number)
			case n == 0:
				return fmt.Errorf("user %s has no session", formatFrame([]byte(user)))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "ended %s\n", plural(n, "session"))
			return err
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&byName, "user", false, "the argument is a user, even if it has digits only")
	return cmd
}

// plural returns a number with what it counts.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func newReload() *cobra.Command {
	var f adminFlags
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have a running bridge apply its configuration file again",
		Long: `Have a bridge that runs read its configuration file again, as SIGHUP does, and
print the keys that have changed. A file with errors changes nothing, and the
command prints them and fails.` + adminHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := f.client(cmd)
			if err != nil {
				return err
			}
			done, err := client.Reload(cmd.Context())
			if err != nil {
				return f.explain(err)
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "reloaded: %s changed\n", plural(len(done.Changed), "key"))
			for _, key := range done.Changed {
				fmt.Fprintf(out, "  %s\n", key)
			}
			if len(done.NeedRestart) > 0 {
				fmt.Fprintln(out, "take effect after a restart only:")
			}
			for _, key := range done.NeedRestart {
				fmt.Fprintf(out, "  %s\n", key)
			}
			return nil
		},
	}
	f.register(cmd)
	return cmd
}
