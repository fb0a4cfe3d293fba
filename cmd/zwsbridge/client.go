package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// passwordVariable is the environment variable that a client takes its password from.
const passwordVariable = "ZWSBRIDGE_PASSWORD"

// clientFlags are the flags that all client commands share.
type clientFlags struct {
	user         string
	passwordFile string
	tokenFile    string
	cert         string
	serverKey    string
	id           string
	ca           string
	insecure     bool
	timeout      time.Duration
	count        uint
}

const clientHelp = `

Without credentials the login is NULL; --user logs in by PLAIN, --token-file by
BEARER, --cert with --server-key by CURVE. The password comes from --password-file,
the variable ` + passwordVariable + `, or the terminal. The exit code is 3 if the server
refuses, with its code and text on standard error.

One message is a line, its frames separated by tabs; a frame that holds other than
printable text is written as a Go string in double quotes.`

func (f *clientFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.user, "user", "u", "", "log in by PLAIN as `name`; empty if the password is a token")
	flags.StringVar(&f.passwordFile, "password-file", "", "the first line of `file` (mode 0600) is the password")
	flags.StringVar(&f.tokenFile, "token-file", "", "log in by BEARER with the first line of `file` (mode 0600)")
	flags.StringVar(&f.cert, "cert", "", "log in by CURVE with the certificate `name` (reads name"+certs.SecretSuffix+")")
	flags.StringVar(&f.serverKey, "server-key", "", "the server's CURVE key: 40 characters of Z85 or the `file` of its public certificate")
	flags.StringVar(&f.id, "id", "", "our routing `id`")
	flags.StringVar(&f.ca, "ca", "", "trust the TLS certificates in `file` (PEM) instead of the system's")
	flags.BoolVar(&f.insecure, "insecure", false, "take any TLS certificate: whoever is in between reads the password")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "how long connecting and logging in may take")
	cmd.MarkFlagsMutuallyExclusive("user", "token-file", "cert")
	cmd.MarkFlagsMutuallyExclusive("ca", "insecure")
	cmd.MarkFlagsRequiredTogether("cert", "server-key")
}

// registerCount has --count end the command after that many of what.
func (f *clientFlags) registerCount(cmd *cobra.Command, what string) {
	cmd.Flags().UintVarP(&f.count, "count", "n", 0, "end after `N` "+what+" (0: no limit)")
}

// dial connects and logs in. The caller closes the client.
func (f *clientFlags) dial(cmd *cobra.Command, address string, socket zmtp.SocketType) (*zws.Client, error) {
	if u, err := url.Parse(address); err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Hostname() == "" {
		return nil, usagef("URL %q: want ws:// or wss:// and a host", address)
	}
	security, err := f.security(cmd)
	if err != nil {
		return nil, err
	}
	config, err := f.tls()
	if err != nil {
		return nil, err
	}
	return zws.Dial(cmd.Context(), address, zws.DialOptions{
		Security:         security,
		SocketType:       socket,
		RoutingID:        []byte(f.id),
		TLS:              config,
		HandshakeTimeout: f.timeout,
		Notice:           func(n zws.Notice) { tellNotice(cmd, n) },
	})
}

func tellNotice(cmd *cobra.Command, n zws.Notice) {
	if n.Lost > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "zwsbridge: %d messages lost: this end is too slow\n", n.Lost)
	}
	if n.Expiring > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "zwsbridge: the login ends in %v\n", n.Expiring)
	}
	if n.Unsubscribed != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "zwsbridge: no longer subscribed to %s: the login does not allow it any more\n",
			cmp.Or(formatFrame(n.Unsubscribed), "everything"))
	}
}

// security makes the credentials of the flags. One that is given and empty counts: PLAIN with
// an empty user name is how a token goes as a password.
func (f *clientFlags) security(cmd *cobra.Command) (zmtp.ClientSecurity, error) {
	given := cmd.Flags().Changed
	switch {
	case given("user"):
		password, err := f.password(cmd)
		return zmtp.Plain{User: f.user, Password: password}, err
	case given("token-file"):
		token, err := secretFile(f.tokenFile)
		return zmtp.Bearer{Token: token}, err
	case given("cert"):
		own, err := certs.ReadSecret(f.cert)
		if err != nil {
			return nil, err
		}
		key, err := readKey(f.serverKey)
		return zmtp.Curve{Public: own.Public, Secret: own.Secret, ServerKey: key}, err
	}
	return zmtp.Null{}, nil
}

func (f *clientFlags) password(cmd *cobra.Command) (string, error) {
	if f.passwordFile != "" {
		return secretFile(f.passwordFile)
	}
	if password, ok := os.LookupEnv(passwordVariable); ok {
		return password, nil
	}
	if stdin := cmd.InOrStdin(); isTerminal(stdin) {
		return askPassword(cmd.Context(), stdin.(*os.File), cmd.ErrOrStderr(), "Password for "+f.user+": ")
	}
	return "", usagef("no password: give --password-file or set %s", passwordVariable)
}

// readKey reads a public key that is given as text, or as the file that holds it.
func readKey(s string) ([certs.KeySize]byte, error) {
	key, err := certs.DecodeKey(s)
	if err == nil {
		return key, nil
	}
	cert, fileErr := certs.ReadPublic(s)
	if fileErr != nil {
		return key, usagef("--server-key is neither a key nor a certificate file: %w; %w", err, fileErr)
	}
	return cert.Public, nil
}

func (f *clientFlags) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: f.insecure}
	if f.ca == "" {
		return config, nil
	}
	var err error
	config.RootCAs, err = certs.Roots(f.ca)
	return config, err
}

// receive prints messages until the server closes, ctx is done or, if count is not 0, that
// many have come. skip frames at the start of each are left out.
func receive(ctx context.Context, w io.Writer, c *zws.Client, count uint, skip int) error {
	for n := uint(0); count == 0 || n < count; n++ {
		m, err := c.Recv()
		if err != nil {
			return endOf(ctx, err)
		}
		if _, err := fmt.Fprintln(w, formatMessage(m[min(skip, len(m)):])); err != nil {
			return err
		}
	}
	return nil
}

// finish ends a connection on which sendErr ended the sending, or nothing did. It waits
// for the server's close frame, since a refusal comes only after what is refused.
func (f *clientFlags) finish(ctx context.Context, c *zws.Client, sendErr error) error {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	_ = c.CloseSend() // if the server has gone first, Recv tells
	for {
		if _, err := c.Recv(); err != nil {
			return cmp.Or(endOf(ctx, err), sendErr)
		}
	}
}

// endOf is the error of a connection on which Recv returned err: none if we ended it
// ourselves by ctx, or the server said that all is well.
func endOf(ctx context.Context, err error) error {
	closed, ok := errors.AsType[*zws.CloseError](err)
	switch {
	case ok && closed.Code == zws.CodeNormal:
		return nil
	case ctx.Err() != nil && !(ok && refusal(closed)):
		return nil
	}
	return err
}

// refusal tells whether a close frame carries one of the bridge's own codes.
func refusal(e *zws.CloseError) bool { return e.Code >= zws.CodeTemporary }

// closeOn closes c when ctx is done or the returned function is called, which waits for it.
func closeOn(ctx context.Context, c *zws.Client) (closeNow func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		c.Close()
	}()
	return func() {
		cancel()
		<-done
	}
}
