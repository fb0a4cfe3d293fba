package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func newSub() *cobra.Command {
	var s subscriber
	var topics []string
	var queue, file string
	cmd := &cobra.Command{
		Use:   "sub URL",
		Short: "Subscribe to topics and print the messages",
		Long: `Connect as a SUB, subscribe to the topics of --subscribe, and print every message
until the server closes the connection. If the server says when to come back,
connect and subscribe again then.

Where the server keeps a history, nothing is lost meanwhile; --position-file does
the same from one run to the next, and --queue has the server keep what was not
acknowledged. A message is acknowledged once it is printed.` + clientHelp,
		Example: `  zwsbridge sub wss://portal.example/devices -u ann --subscribe house/ann/
  zwsbridge sub wss://portal.example/devices -u ann --last --position-file ann.position
  zwsbridge sub wss://127.0.0.1:8443/devices --insecure -u ann -n 1`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(topics) == 0 {
				topics = []string{""}
			}
			for _, topic := range topics {
				s.topics = append(s.topics, []byte(topic))
			}
			if cmd.Flags().Changed("queue") {
				s.queue = &queue
			}
			s.cmd, s.url = cmd, args[0]
			return s.run(file)
		},
	}
	s.flags.register(cmd)
	s.flags.registerCount(cmd, "received messages")
	flags := cmd.Flags()
	flags.StringArrayVarP(&topics, "subscribe", "s", nil, "subscribe to topics that begin with `prefix`; can be repeated (default: all topics)")
	flags.BoolVar(&s.last, "last", false, "begin with the last message of each topic, if the server keeps it")
	flags.StringVar(&queue, "queue", "", "get the messages of the user's queue `name`, which can be empty")
	flags.StringVar(&file, "position-file", "", "resume at the position in `file`, and keep it there")
	cmd.MarkFlagsMutuallyExclusive("queue", "position-file")
	return cmd
}

// subscriber is a run of sub, over one connection after the other.
type subscriber struct {
	cmd    *cobra.Command
	flags  clientFlags
	url    string
	topics [][]byte
	last   bool
	queue  *string

	client   *zws.Client
	position string        // after the last message that was printed
	saved    *positionFile // nil without --position-file
	warned   bool
}

func (s *subscriber) run(file string) (err error) {
	if file != "" {
		if s.position, err = readPosition(file); err != nil {
			return err
		}
		s.saved = &positionFile{path: file}
		defer func() {
			if closeErr := s.saved.close(); err == nil {
				err = closeErr
			}
		}()
	}
	for left := s.flags.count; ; {
		n, err := s.connect(left)
		if !waitAsAdvised(s.cmd, err) {
			return err
		}
		if left -= min(n, left); s.flags.count > 0 && left == 0 {
			return nil
		}
	}
}

// connect prints the messages of one connection, at most count of them, and returns how many.
func (s *subscriber) connect(count uint) (uint, error) {
	ctx := s.cmd.Context()
	c, err := s.flags.dial(s.cmd, s.url, zmtp.SUB, func(o *zws.DialOptions) {
		o.History, o.Queue = true, s.queue
		print := o.Notify
		o.Notify = func(n zws.Notification) {
			if s.queue != nil && n.Resumed != nil && !n.Resumed.Recovered {
				fmt.Fprintln(s.cmd.ErrOrStderr(), "zwsbridge: this queue is new, or the server does not keep all that has waited")
			} else {
				print(n)
			}
			if n.Live {
				s.reached()
			}
		}
	})
	if err != nil {
		return 0, err
	}
	s.client = c
	defer closeOn(ctx, c)()
	if err := s.subscribe(ctx); err != nil {
		return 0, s.flags.finish(ctx, c, err)
	}
	n, err := s.receive(ctx, count)
	if err != nil || s.queue == nil || count == 0 || n < count {
		return n, err
	}
	if err := c.Ack(ctx); err != nil {
		return n, err
	}
	return n, s.flags.finish(ctx, c, nil)
}

// subscribe subscribes to the topics, from where the last connection has ended.
func (s *subscriber) subscribe(ctx context.Context) error {
	if wants := s.last || s.queue != nil || s.saved != nil; wants && !s.client.History() && !s.warned {
		fmt.Fprintln(s.cmd.ErrOrStderr(), "zwsbridge: this route keeps no history: what is missed is lost")
		s.warned = true
	}
	switch {
	case s.position != "" && s.queue == nil:
		return s.client.Resume(ctx, s.position, s.topics...)
	case s.last:
		return s.client.SubscribeLast(ctx, s.topics...)
	}
	return s.client.Subscribe(ctx, s.topics...)
}

func (s *subscriber) receive(ctx context.Context, count uint) (n uint, err error) {
	for ; count == 0 || n < count; n++ {
		m, err := s.client.Recv(ctx)
		if err != nil {
			return n, closeError(ctx, err)
		}
		if _, err := fmt.Fprintln(s.cmd.OutOrStdout(), formatMessage(m)); err != nil {
			return n, err
		}
		if s.reached(); s.saved != nil && s.saved.failed() != nil {
			return n + 1, s.saved.failed()
		}
	}
	return n, nil
}

// reached notes that everything up to the client's position is printed.
func (s *subscriber) reached() {
	at := s.client.Position()
	if at == "" || at == s.position {
		return
	}
	if s.position = at; s.saved != nil {
		s.saved.set(at)
	}
}
