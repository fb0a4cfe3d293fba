// Package htpasswd implements a ZAP authenticator for PLAIN whose users are in an htpasswd
// file, as Apache and nginx read it: one "user:hash" per line. Only bcrypt hashes are accepted.
//
// [New] reads the file and starts an [Authenticator], which reads the file again when it
// changes and reports the logins that a change has revoked. [Set] adds a user to a file or
// changes a password. An unknown user takes as long as a wrong password.
//
// Hashes are expensive on purpose, so logins wait in a queue for one of a few slots. It refuses
// at once what cannot be hashed before the login's deadline, with advice when to come back, and
// lets client networks take turns. Verified passwords are remembered until the file changes.
package htpasswd
