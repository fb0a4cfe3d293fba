# CI runs `make test` and nothing else. It needs Go, make and gcc (for -race).
GO          ?= go
FUZZTIME    ?= 10s
PLATFORMS    = linux/arm64 linux/arm darwin/arm64 windows/amd64
STATICCHECK  = honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Modules of their own: the peers they test against must not become dependencies of zwsbridge.
MODULES      = certs/acmetest bridge/bench bridge/natstest

.PHONY: build test lint cross unit storm soak modules packaging js interop fuzz cover docs bench bench-short clean

build:
	$(GO) build -trimpath -o zwsbridge ./cmd/zwsbridge

test: lint cross unit storm modules packaging js interop

lint:
	@bad=$$(find . -name '*.go' -not -path '*/node_modules/*' | xargs gofmt -l); \
	 if [ -n "$$bad" ]; then echo "gofmt these files:" $$bad >&2; exit 1; fi
	$(GO) vet -tags interop ./...
	$(GO) run $(STATICCHECK) -tags interop ./...

cross:
	@for p in $(PLATFORMS); do \
	   echo "build $$p"; \
	   CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build -o /dev/null ./... || exit 1; \
	 done

unit:
	$(GO) test -race ./...

# 200 users of an htpasswd file who connect at the same time. Without -race, which makes hashes
# many times slower.
storm:
	$(GO) test -count=1 -run '^TestStorm$$' ./bridge

# What takes too long for every commit, with the limits that an idle machine keeps: 3,000 users, and
# stores and bridges with a history that are killed. The last needs python3-zmq.
soak:
	ZWSBRIDGE_SOAK=1 $(GO) test -count=1 -timeout 30m -run 'Soak$$' -v ./bridge ./bridge/internal/history/...
	cd bridge/natstest && ZWSBRIDGE_SOAK=1 $(GO) test -count=1 -timeout 60m -v .
	ZWSBRIDGE_SOAK=1 $(GO) test -tags interop -count=1 -timeout 30m -run 'Soak$$' -v ./bridge/interop

modules:
	@for m in $(MODULES); do \
	   echo "module $$m"; (cd $$m && $(GO) vet ./... && $(GO) test -race ./...) || exit 1; \
	 done

# The deb, rpm and image of a release, installed and run. The script installs mmdebstrap and rpm; it
# needs root. A minimal Debian is kept in the user's cache for a week.
packaging:
	cd cmd/zwsbridge/packaging && $(GO) vet ./... && ./run

# The JavaScript client, without a browser. Without Node the script skips the tests and prints
# so; with CI=true it fails.
js:
	zws/js/run

# Tests against foreign peers. The script prints which of them it could not install; with
# CI=true it fails.
interop:
	bridge/interop/run

# Every fuzz target of every package, one after the other: go test runs one at a time.
fuzz:
	@for p in $$($(GO) list ./...); do \
	   for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	     echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
	   done; \
	 done

cover:
	$(GO) test -coverpkg=./... -coverprofile=cover.out ./...
	$(GO) tool cover -func=cover.out | tail -1

# Writes the tables of the manual that come from the code: keys, metrics, commands, close codes.
docs:
	$(GO) test -count=1 ./cmd/zwsbridge -run '^TestTables$$' -update

# The Go benchmarks, then zwsbridge beside its peers: tables and bench.png. About an hour. Firefox is
# opened with a file of bridge/interop, which has packages of its own.
bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...
	cd bridge/interop && npm ci --ignore-scripts --no-fund --no-audit
	cd bridge/bench && npm ci --no-fund --no-audit && $(GO) run . -plot bench.png

# The working tree beside another commit: make bench-short COMMIT=HEAD~3. Less than 4 minutes on
# two idle cores.
bench-short:
	@[ -n "$(COMMIT)" ] || { echo "usage: make bench-short COMMIT=REVISION" >&2; exit 2; }
	cd bridge/bench && npm ci --no-fund --no-audit && $(GO) run ./short -commit "$(COMMIT)"

clean:
	rm -f zwsbridge cover.out
