package zws

import (
	"context"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func init() { attention = 25 * time.Millisecond }

// SendCommand sends a command that no method sends.
func (c *Client) SendCommand(ctx context.Context, body string) error {
	return c.encodeLocked(ctx, zmtp.Frame{Command: true, Body: []byte(body)})
}
