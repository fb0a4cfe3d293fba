package config

import (
	"log/slog"
	"slices"
	"time"
)

// Log is the table [log]. Level and Format are those of the program that runs the bridge; one that
// passes its own logger in bridge.Options decides on them itself.
type Log struct {
	Level  string `toml:"level"`  // LevelDebug, LevelInfo, LevelWarn or LevelError
	Format string `toml:"format"` // FormatAuto, FormatText or FormatJSON
	// Repeat is the least time between two lines of the same kind about refusals and faults; the
	// later one tells how many were left out. 0 = every line is written.
	Repeat time.Duration `toml:"repeat"`
}

// The values of log.level.
const (
	LevelDebug = "debug"
	LevelInfo  = "info"
	LevelWarn  = "warn"
	LevelError = "error"
)

// The values of log.format.
const (
	FormatAuto = "auto" // text on a terminal, otherwise JSON
	FormatText = "text"
	FormatJSON = "json"
)

var (
	logLevels  = []string{LevelDebug, LevelInfo, LevelWarn, LevelError}
	logFormats = []string{FormatAuto, FormatText, FormatJSON}
)

// SlogLevel returns Level as a level of package log/slog; one below slog.LevelDebug if Level is invalid.
func (l *Log) SlogLevel() slog.Level {
	return slog.LevelDebug + 4*slog.Level(slices.Index(logLevels, l.Level))
}

// log checks the table [log].
func (c *checker) log() {
	c.oneOf("log.level", c.Log.Level, logLevels)
	c.oneOf("log.format", c.Log.Format, logFormats)
	if c.Log.Repeat > maxRepeat {
		c.fault("log.repeat", "is %v: want at most %v", c.Log.Repeat, maxRepeat)
	}
}

// maxRepeat is the longest log.repeat: what was left out is told when it has passed.
const maxRepeat = time.Hour
