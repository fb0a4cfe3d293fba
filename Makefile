# make test is what CI runs and all that it runs. It needs Go, make and gcc (for -race).
GO          ?= go
FUZZTIME    ?= 10s
PLATFORMS    = linux/arm64 linux/arm darwin/arm64 windows/amd64
STATICCHECK  = honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Modules of their own, so that the peers they test against are no dependencies of ours.
MODULES      = certs/acmetest bridge/bench

.PHONY: build test lint cross unit modules js interop fuzz cover bench clean

build:
	$(GO) build -trimpath -o zwsbridge ./cmd/zwsbridge

test: lint cross unit modules js interop

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

modules:
	@for m in $(MODULES); do \
	   echo "module $$m"; (cd $$m && $(GO) vet ./... && $(GO) test -race ./...) || exit 1; \
	 done

# The browser's client, without a browser; the script says so if there is no Node, and fails
# for it where CI=true.
js:
	zws/js/run

# Peers that nobody here wrote; the script says which of them it could not install, and
# fails for it where CI=true.
interop:
	bridge/interop/run

# Every fuzz target of every package, one after the other (go test takes one at a time).
fuzz:
	@for p in $$($(GO) list ./...); do \
	   for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	     echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
	   done; \
	 done

cover:
	$(GO) test -coverpkg=./... -coverprofile=cover.out ./...
	$(GO) tool cover -func=cover.out | tail -1

# Go benchmarks beside the code, then the bridge beside its peers: a table and bench.png.
bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...
	cd bridge/bench && npm ci --no-fund --no-audit && $(GO) run . -plot bench.png

clean:
	rm -f zwsbridge cover.out
