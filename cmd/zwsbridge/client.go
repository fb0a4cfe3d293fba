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

// passwordVariable is the environment variable with the password of --user.
const passwordVariable = "ZWSBRIDGE_PASSWORD"

// clientFlags are the flags of all client commands.
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

Authentication is PLAIN with --user, BEARER with --token-file, CURVE with --cert
and --server-key, and NULL without any of them. The password is read from
--password-file, the environment variable ` + passwordVariable + ` or the terminal.

A message is one line, with tabs between its frames. A frame that contains
anything but printable text is written as a Go string in double quotes.

If the server refuses the client, the code and reason are printed on standard
error and the exit code is 3. If it only asks to come back later, as in
"retry in 5s", the command waits that long and up to half as long in addition.`

func (f *clientFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.user, "user", "u", "", "authenticate with PLAIN as user `name` (empty if the password is a token)")
	flags.StringVar(&f.passwordFile, "password-file", "", "read the password from the first line of `file` (mode 0600)")
	flags.StringVar(&f.tokenFile, "token-file", "", "authenticate with BEARER, with the token in the first line of `file` (mode 0600)")
	flags.StringVar(&f.cert, "cert", "", "authenticate with CURVE and the certificate `name` (reads name"+certs.SecretSuffix+")")
	flags.StringVar(&f.serverKey, "server-key", "", "CURVE public key of the server: 40 characters, or the `file` of its certificate")
	flags.StringVar(&f.id, "id", "", "routing `id` of the socket")
	flags.StringVar(&f.ca, "ca", "", "trust the TLS certificates in `file` (PEM) instead of those of the system")
	flags.BoolVar(&f.insecure, "insecure", false, "do not verify the TLS certificate of the server (for tests only)")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "time limit for connecting and authenticating")
	cmd.MarkFlagsMutuallyExclusive("user", "token-file", "cert")
	cmd.MarkFlagsMutuallyExclusive("ca", "insecure")
	cmd.MarkFlagsRequiredTogether("cert", "server-key")
}

// registerCount adds --count, which exits the command after that many of what.
func (f *clientFlags) registerCount(cmd *cobra.Command, what string) {
	cmd.Flags().UintVarP(&f.count, "count", "n", 0, "exit after `N` "+what+" (0: no limit)")
}

// dial connects and authenticates. If the server is busy and says when to try again, dial
// does so. Options can be added by more. The caller closes the client.
func (f *clientFlags) dial(cmd *cobra.Command, address string, socket zmtp.SocketType, more ...func(*zws.DialOptions)) (*zws.Client, error) {
	if u, err := url.Parse(address); err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Hostname() == "" {
		return nil, usagef("URL %q: want ws:// or wss:// and a host", address)
	}
	security, err := f.security(cmd)
	if err != nil {
		return nil, err
	}
	config, err := f.tlsConfig()
	if err != nil {
		return nil, err
	}
	o := zws.DialOptions{
		Security:         security,
		SocketType:       socket,
		RoutingID:        []byte(f.id),
		TLS:              config,
		HandshakeTimeout: f.timeout,
		Notify:           func(n zws.Notification) { printNotification(cmd.ErrOrStderr(), n) },
	}
	for _, add := range more {
		add(&o)
	}
	for {
		c, err := zws.Dial(cmd.Context(), address, o)
		if !waitAsAdvised(cmd, err) {
			return c, withHint(address, err)
		}
	}
}

// waitAsAdvised reports whether the server ended a connection with advice when to try again,
// after it has waited until then. It does not wait any longer once the command is canceled.
func waitAsAdvised(cmd *cobra.Command, err error) bool {
	closed, ok := errors.AsType[*zws.CloseError](err)
	if !ok {
		return false
	}
	delay := closed.RetryDelay()
	if delay == 0 {
		return false
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "zwsbridge: %s; trying again in %.1f s\n", errorText(closed), delay.Seconds())
	select {
	case <-time.After(delay):
		return true
	case <-cmd.Context().Done():
		return false
	}
}

// printNotification prints what the bridge notifies the client of.
func printNotification(w io.Writer, n zws.Notification) {
	if n.Lost > 0 {
		fmt.Fprintf(w, "zwsbridge: %d messages lost: this client is too slow\n", n.Lost)
	}
	if n.Expiring > 0 {
		fmt.Fprintf(w, "zwsbridge: the login expires in %v\n", n.Expiring)
	}
	if n.Unsubscribed != nil {
		fmt.Fprintf(w, "zwsbridge: unsubscribed from %s: the login no longer permits it\n",
			cmp.Or(formatFrame(n.Unsubscribed), "all topics"))
	}
	if n.Resumed != nil && !n.Resumed.Recovered {
		fmt.Fprintln(w, "zwsbridge: messages are missing: the server does not keep all that was missed")
	}
	if n.Resumed != nil && n.Resumed.Gap {
		fmt.Fprintln(w, "zwsbridge: messages may be missing: the server had lost a backend meanwhile")
	}
}

// security returns the credentials that the flags select. A flag counts if it is given,
// even with an empty value: PLAIN with an empty user name sends a token as the password.
func (f *clientFlags) security(cmd *cobra.Command) (zmtp.ClientSecurity, error) {
	given := cmd.Flags().Changed
	switch {
	case given("user"):
		password, err := f.password(cmd)
		return zmtp.Plain{User: f.user, Password: password}, err
	case given("token-file"):
		token, err := readSecret(f.tokenFile)
		return zmtp.Bearer{Token: token}, err
	case given("cert"):
		cert, err := certs.ReadSecret(f.cert)
		if err != nil {
			return nil, err
		}
		key, err := readServerKey(f.serverKey)
		return zmtp.Curve{Public: cert.Public, Secret: cert.Secret, ServerKey: key}, err
	}
	return zmtp.Null{}, nil
}

func (f *clientFlags) password(cmd *cobra.Command) (string, error) {
	if f.passwordFile != "" {
		return readSecret(f.passwordFile)
	}
	if password, ok := os.LookupEnv(passwordVariable); ok {
		return password, nil
	}
	if stdin := cmd.InOrStdin(); isTerminal(stdin) {
		return promptPassword(cmd.Context(), stdin.(*os.File), cmd.ErrOrStderr(), "Password for "+f.user+": ")
	}
	return "", usagef("no password: give --password-file or set %s", passwordVariable)
}

// readServerKey returns the value of --server-key: a key in Z85, or the certificate file
// that contains it.
func readServerKey(s string) ([certs.KeySize]byte, error) {
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

func (f *clientFlags) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: f.insecure}
	if f.ca == "" {
		return config, nil
	}
	var err error
	config.RootCAs, err = certs.Roots(f.ca)
	return config, err
}

// receive prints messages without their first skip frames, until the server closes the
// connection, ctx is done, or count messages were received. A count of 0 means no limit. It
// returns how many it has printed.
func receive(ctx context.Context, w io.Writer, c *zws.Client, count uint, skip int) (n uint, err error) {
	for ; count == 0 || n < count; n++ {
		m, err := c.Recv(ctx)
		if err != nil {
			return n, closeError(ctx, err)
		}
		if _, err := fmt.Fprintln(w, formatMessage(m[min(skip, len(m)):])); err != nil {
			return n, err
		}
	}
	return n, nil
}

// finish closes a connection after the last message was sent, or after sending failed with
// sendErr. It waits for the server's close frame: if the server refuses a message, the
// reason arrives only after the message was sent.
func (f *clientFlags) finish(ctx context.Context, c *zws.Client, sendErr error) error {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	_ = c.CloseSend() // if the server closed first, Recv returns its reason
	for {
		if _, err := c.Recv(ctx); err != nil {
			return cmp.Or(closeError(ctx, err), sendErr)
		}
	}
}

// closeError returns the error of a connection on which Recv returned err. It is nil if
// the server closed the connection normally, or ctx is done and the server did not refuse
// the client.
func closeError(ctx context.Context, err error) error {
	closed, ok := errors.AsType[*zws.CloseError](err)
	switch {
	case ok && closed.Code == zws.CodeNormal:
		return nil
	case ctx.Err() != nil && !(ok && isRefusal(closed)):
		return nil
	}
	return err
}

// isRefusal reports whether e carries one of the bridge's own close codes.
func isRefusal(e *zws.CloseError) bool { return e.Code >= zws.CodeTemporary }

// closeOn closes c when ctx is done or the returned function is called. That function
// returns after c is closed.
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
