package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/cmd/zwsbridge/adminclient"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// adminVariable is the environment variable with the default of --url.
const adminVariable = "ZWSBRIDGE_ADMIN_URL"

// adminFlags are the flags of the commands that operate a bridge that runs.
type adminFlags struct {
	config string
	socket string
	url    string
	login  clientFlags // user, password, token, ca, insecure, timeout
}

const adminHelp = `

The bridge is the one that runs here with the configuration file of --config, and
is asked at admin.socket, where nobody needs a login, or else at admin.listen with
the token of admin.token_file. Another is asked at --url, or at the URL in the
environment variable ` + adminVariable + `, with --token-file or --login; the password is
read from --password-file, the environment variable ` + passwordVariable + ` or the
terminal. A login goes over http:// to this machine only, elsewhere over https://.

The exit code is 3 if the bridge refuses the login or does not permit the request
to it.`

func (f *adminFlags) register(cmd *cobra.Command) {
	configFlag(cmd, &f.config)
	flags := cmd.Flags()
	flags.StringVar(&f.socket, "socket", "", "ask at this unix socket (admin.socket of the bridge), a `file`")
	flags.StringVar(&f.url, "url", "", "ask at this `URL` of an admin interface, http:// or https://")
	flags.StringVarP(&f.login.user, "login", "l", "", "log in as user `name`, tagged monitoring or administrator")
	flags.StringVar(&f.login.passwordFile, "password-file", "", "read the password from the first line of `file` (mode 0600)")
	flags.StringVar(&f.login.tokenFile, "token-file", "", "log in with the token in the first line of `file` (mode 0600)")
	flags.StringVar(&f.login.ca, "ca", "", "trust the TLS certificates in `file` (PEM) instead of those of the system")
	flags.BoolVar(&f.login.insecure, "insecure", false, "do not verify the TLS certificate of the server (for tests only)")
	flags.DurationVar(&f.login.timeout, "timeout", 10*time.Second, "time limit for the answer")
	cmd.MarkFlagsMutuallyExclusive("socket", "url")
	cmd.MarkFlagsMutuallyExclusive("login", "token-file")
	cmd.MarkFlagsMutuallyExclusive("ca", "insecure")
}

// client returns a client of the bridge that the flags name.
func (f *adminFlags) client(cmd *cobra.Command) (*adminclient.Client, error) {
	o := adminclient.Options{Socket: f.socket, URL: f.url, Timeout: f.login.timeout}
	if o.Socket == "" && o.URL == "" {
		o.URL = os.Getenv(adminVariable)
	}
	var err error
	switch {
	case cmd.Flags().Changed("login"):
		o.User = f.login.user
		o.Password, err = f.login.password(cmd)
	case f.login.tokenFile != "":
		o.Token, err = readSecret(f.login.tokenFile)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case o.URL != "":
		err = checkAdminURL(o.URL, o.User != "" || o.Token != "")
	case o.Socket == "":
		err = f.fromConfig(&o)
	}
	if err != nil {
		return nil, err
	}
	if o.URL == "" {
		return adminclient.New(o), nil
	}
	if o.TLS, err = f.login.tlsConfig(); err != nil {
		return nil, err
	}
	return adminclient.New(o), nil
}

// checkAdminURL refuses a URL that contains a login, or at which the login could be read on the way.
func checkAdminURL(address string, loggedIn bool) error {
	u, err := url.Parse(address)
	if err == nil && u.User != nil { // it would be sent, and be in the list of processes
		return usagef("URL %q: want no login in it, but --login or --token-file", u.Redacted())
	}
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return usagef("URL %q: want http:// or https:// and a host", address)
	case u.Scheme == "http" && loggedIn && !zmtp.IsLocal("tcp://"+net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80"))):
		return usagef("URL %q: a login goes over http:// to this machine only, want https://", address)
	}
	return nil
}

// fromConfig fills in where the bridge of the configuration file is, and the admin token if there is
// no other login. A login is for admin.listen: at the socket nobody needs one.
func (f *adminFlags) fromConfig(o *adminclient.Options) error {
	file, err := os.Open(f.config)
	if err != nil {
		return usageError{fmt.Errorf("%w: give --config, --socket or --url", err)}
	}
	file.Close()
	c, faults := config.Load(f.config)
	if c == nil { // other faults do not matter: the bridge may run with an older file
		return faults.Err()
	}
	loggedIn := o.User != "" || o.Token != ""
	switch {
	case c.Admin.Socket != "" && (!loggedIn || c.Admin.Listen == ""):
		o.Socket = string(c.Admin.Socket)
		return nil
	case c.Admin.Listen == "":
		return usagef("%s has no admin interface: set admin.socket or admin.listen there, or give --url", f.config)
	}
	o.URL = "http://" + dialable(c.Admin.Listen)
	if loggedIn {
		return nil
	}
	if c.Admin.TokenFile == "" {
		return usagef("%s: set admin.socket or admin.token_file there, or give --token-file or --login", f.config)
	}
	o.Token, err = readSecret(string(c.Admin.TokenFile))
	return err
}

// explain adds to an error of a request what the user can do about it.
func (f *adminFlags) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: want a user who can write to the socket (the bridge's group, or root)", err)
	}
	return withHint(f.url, notRunning(err))
}

// since returns how long ago t is, for people: 3d4h, 5h7m, 12m8s or 9s.
func since(t time.Time) string {
	d := max(time.Since(t), 0).Truncate(time.Second)
	days, hours, minutes, seconds := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh%dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm%ds", minutes, seconds)
	}
	return fmt.Sprintf("%ds", seconds)
}
