// Package htpasswd implements a ZAP authenticator for PLAIN whose users are in an htpasswd
// file, as Apache and nginx read it: one "user:hash" per line. Only bcrypt hashes are accepted.
//
// [New] reads the file and starts an [Authenticator], which reads the file again when it
// changes and reports the logins that a change has revoked. [Set] adds a user to a file or
// changes a password. An unknown user takes as long as a wrong password, and the number of
// hashes computed at the same time is limited, so that a flood of logins cannot take all
// processors.
package htpasswd
