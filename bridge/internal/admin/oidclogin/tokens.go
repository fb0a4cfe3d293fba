package oidclogin

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// maxAhead is how far ahead of ours the provider's clock may be, as go-oidc allows for nbf.
const maxAhead = 5 * time.Minute

// verify checks that the tokens belong together and to the login that t began (OpenID Connect
// Core 1.0, section 3.1.3.7). The ZAP chain verifies the access token.
func (c *Client) verify(ctx context.Context, p *provider, t *ticket, tokens *oauth2.Token) error {
	if kind := tokens.Type(); !strings.EqualFold(kind, "Bearer") {
		return fmt.Errorf("token_type is %.50q, want Bearer", kind)
	}
	raw, _ := tokens.Extra("id_token").(string)
	id, err := p.verifier.Verify(ctx, raw)
	if err != nil {
		return err
	}
	var claims struct {
		AuthorizedParty *string `json:"azp"`
	}
	if err := id.Claims(&claims); err != nil {
		return fmt.Errorf("ID token: %w", err)
	}
	switch azp := claims.AuthorizedParty; {
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(t.Nonce)) != 1:
		return errors.New("ID token belongs to another login: nonce does not match")
	case azp != nil && *azp != c.o.ClientID:
		return fmt.Errorf("ID token is for another client: azp is %.100q, want %q", *azp, c.o.ClientID)
	case azp == nil && len(id.Audience) > 1:
		return errors.New("ID token has several audiences and no azp")
	case id.Subject == "":
		return errors.New("ID token has no sub")
	case id.IssuedAt.Unix() <= 0:
		return errors.New("ID token has no iat")
	case time.Until(id.IssuedAt) > maxAhead:
		return fmt.Errorf("ID token has an iat in the future: %v", id.IssuedAt.UTC())
	}
	if subject := subjectOf(tokens.AccessToken); subject != nil && subject != id.Subject {
		return errors.New("ID token and access token are for different users: sub differs")
	}
	if id.AccessTokenHash != "" {
		return id.VerifyAccessToken(tokens.AccessToken)
	}
	return nil
}

// subjectOf returns the claim sub of a token that is a JWT, unverified; nil if there is none.
func subjectOf(token string) any {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	var claims map[string]any
	if text, err := base64.RawURLEncoding.DecodeString(parts[1]); err != nil || json.Unmarshal(text, &claims) != nil {
		return nil
	}
	return claims["sub"]
}
