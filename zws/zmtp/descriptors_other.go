//go:build !unix

package zmtp

// defaultHandshakes returns DefaultHandshakes: the limit of file descriptors is not known.
func defaultHandshakes() int { return DefaultHandshakes }
