package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/internal/dnssd"
)

// The service types of bridges and of native ZeroMQ peers.
const (
	bridgeType = "_zws._tcp"
	zeroMQType = "_zmtp._tcp"
)

func newDiscover() *cobra.Command {
	timeout := 3 * time.Second
	asJSON := false
	cmd := &cobra.Command{
		Use:   "discover [TYPE...]",
		Short: "List bridges and ZeroMQ services in the local network",
		Long: `List what is announced in the local network by DNS-SD (multicast DNS): bridges
(_zws._tcp, see server.announce) and ZeroMQ services (_zmtp._tcp), or the service
types given.

Each line has the name, the type, where to connect, and the TXT record. The
routes of a bridge are URLs for sub, push, req and dealer. Anybody in the
network can announce anything.`,
		Example: "  zwsbridge discover\n  zwsbridge discover --json _zmtp._tcp",
		RunE: func(cmd *cobra.Command, types []string) error {
			if timeout <= 0 {
				return usagef("--timeout is %v: want a duration above 0", timeout)
			}
			if len(types) == 0 {
				types = []string{bridgeType, zeroMQType}
			}
			for _, t := range types {
				if err := dnssd.CheckType(t); err != nil {
					return usageError{err}
				}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			list, err := discover(ctx, types)
			if err != nil {
				return err
			}
			if asJSON {
				return printServicesJSON(cmd.OutOrStdout(), list)
			}
			if len(list) == 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "nothing was announced within %v\n", timeout)
			}
			return printServices(cmd.OutOrStdout(), list)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait for answers")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

// discover returns what is announced of these types until ctx is done, sorted.
func discover(ctx context.Context, types []string) ([]dnssd.Service, error) {
	found := make([][]dnssd.Service, len(types))
	failed := make([]error, len(types))
	var running sync.WaitGroup
	for i, t := range types {
		running.Go(func() {
			failed[i] = dnssd.Browse(ctx, t, func(list []dnssd.Service) { found[i] = list })
		})
	}
	running.Wait()
	for _, err := range failed {
		if !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
	}
	all := slices.Concat(found...)
	slices.SortStableFunc(all, func(a, b dnssd.Service) int { return cmp.Compare(a.Type, b.Type) })
	return all, nil
}

// targets returns where to connect to: the routes of a bridge, or an endpoint.
func targets(s *dnssd.Service) []string {
	if s.Type != bridgeType {
		return []string{"tcp://" + s.Addr.String()}
	}
	scheme := "wss"
	if tls, _ := s.Value("tls"); tls == "0" {
		scheme = "ws"
	}
	host := fmt.Sprintf("%s://%s", scheme, s.Addr)
	paths, _ := s.Value("paths")
	if paths == "" {
		return []string{host}
	}
	var urls []string
	for path := range strings.SplitSeq(paths, ",") {
		urls = append(urls, host+path)
	}
	return urls
}

// printServices prints a table. What others have announced is quoted where it is not plain text.
func printServices(w io.Writer, list []dnssd.Service) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range list {
		s := &list[i]
		text := make([]string, len(s.Text))
		for n, t := range s.Text {
			text[n] = formatFrame([]byte(t))
		}
		for _, target := range targets(s) {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", formatFrame([]byte(s.Instance)), s.Type, formatFrame([]byte(target)), strings.Join(text, " "))
		}
	}
	return table.Flush()
}

// printServicesJSON prints a JSON object for each service.
func printServicesJSON(w io.Writer, list []dnssd.Service) error {
	out := json.NewEncoder(w)
	for i := range list {
		s := &list[i]
		if err := out.Encode(struct {
			Name    string   `json:"name"`
			Type    string   `json:"type"`
			Host    string   `json:"host"`
			Address string   `json:"address"`
			Connect []string `json:"connect"`
			Text    []string `json:"text"`
		}{s.Instance, s.Type, s.Host, s.Addr.String(), targets(s), s.Text}); err != nil {
			return err
		}
	}
	return nil
}
