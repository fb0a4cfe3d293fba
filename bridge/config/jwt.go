package config

import (
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap/jwt"
)

// Options are what the table says, for package zap/jwt. It reads the file of authorities.
func (s *JWT) Options() (jwt.Options, error) {
	o := jwt.Options{
		Algorithms:              s.Algorithms,
		DefaultKey:              s.DefaultKey,
		JWKSURL:                 s.JWKSURL,
		Discovery:               s.Discovery,
		Issuer:                  s.Issuer,
		ResourceServerID:        s.ResourceServerID,
		ResourceServerType:      s.ResourceServerType,
		ScopePrefix:             *s.ScopePrefix,
		ScopeAliases:            make(map[string][]string, len(s.ScopeAliases)),
		ExtraScopesSource:       s.ExtraScopesSource,
		ReplaceScopes:           s.ExtraScopesMode == extraScopesReplace,
		StrictTopics:            s.StrictTopics,
		PreferredUsernameClaims: s.PreferredUsernameClaims,
		Leeway:                  s.Leeway,
		AllowNoExpiry:           !s.RequireExp,
		Timeout:                 s.Timeout,
	}
	for _, p := range s.Keys {
		o.Keys = append(o.Keys, string(p))
	}
	for alias, scopes := range s.ScopeAliases {
		o.ScopeAliases[alias] = scopes
	}
	var err error
	if s.CA != "" {
		o.Roots, err = certs.Roots(string(s.CA))
	}
	return o, err
}

// extraScopesReplace is the mode in which scopes come from extra_scopes_source only.
const extraScopesReplace = "replace"
