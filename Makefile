# `make test` is what has to pass; `make help` lists the rest.

GO          ?= go
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 3s
TESTFLAGS   ?=
PYTHON      ?= python3
VENV        ?= .venv
REQUIRE     := testdata/interop/requirements.txt

# Programs are built without cgo; only the race detector needs it.
export CGO_ENABLED = 0

.PHONY: help test build fmt vet lint tidy cross unit fuzz bench bench-membership bench-scan interop clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "variables: FUZZTIME=$(FUZZTIME) (each target), TESTFLAGS=$(TESTFLAGS), PYTHON=$(PYTHON), VENV=$(VENV)"

test: fmt vet lint tidy cross unit fuzz bench interop ## everything that has to pass

build: ## the program, ./custody
	$(GO) build -trimpath -o custody$(shell $(GO) env GOEXE) ./cmd/custody

fmt: ## is everything gofmt-ed
	@bad=$$(gofmt -l cmd formats index provenance); if [ -n "$$bad" ]; then echo "gofmt -w" $$bad; exit 1; fi

vet: ## go vet
	$(GO) vet ./...

lint: ## staticcheck, of one pinned version
	$(GO) run $(STATICCHECK) ./...

tidy: ## go.mod and go.sum are tidy
	$(GO) mod tidy -diff

cross: ## it builds for the other systems too
	GOOS=darwin GOARCH=arm64 $(GO) build ./...
	GOOS=windows GOARCH=amd64 $(GO) build ./...

unit: ## unit, property and script tests, with the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout 20m $(TESTFLAGS) ./...

# `go test -list` names a package's targets, then the package.
fuzz: ## each fuzz target for FUZZTIME
	@list=$$($(GO) test -list '^Fuzz' ./...) || { echo "$$list"; exit 1; }; \
	echo "$$list" | awk '/^Fuzz/ { t[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, t[i]; n = 0 }' > .fuzz.out; \
	[ -s .fuzz.out ] || { echo "no fuzz target found"; exit 1; }; \
	while read -r pkg target; do \
		echo "fuzz $$pkg $$target"; \
		for try in 1 2; do \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x "$$pkg" > .fuzz.log 2>&1; code=$$?; tail -4 .fuzz.log; \
			[ $$code -eq 0 ] && break; \
			if [ $$try -eq 2 ] || grep -q 'Failing input' .fuzz.log || ! grep -q 'context deadline exceeded' .fuzz.log; then cat .fuzz.log; exit 1; fi; \
			echo "the fuzzer missed its own deadline, and found nothing: once more"; \
		done; \
	done < .fuzz.out; rm -f .fuzz.out .fuzz.log

bench: ## every benchmark, once
	$(GO) test -run '^$$' -bench . -benchtime 1x ./...

# DATA is a folder with posts.tar.xz, api-records.tar.xz and background.tar.xz.
DATA ?= ../shared/data

bench-membership: ## recall by form and script, on real posts (DATA) or, without them, invented ones
	@if [ ! -f $(DATA)/posts.tar.xz ]; then echo "no $(DATA): invented texts only" >&2; exec $(GO) run ./index/scan/membership -builtin; fi; \
	dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	for f in posts api-records background; do tar -xJf $(DATA)/$$f.tar.xz -C "$$dir"; done; \
	$(GO) run ./index/scan/membership \
		-records reddit-api="$$dir/reddit-top-csv/*.csv" -records x-api="$$dir/_records/twitter_v?_tweet.jsonl" \
		-text content -records generic:mastodon="$$dir/_records/mastodon_status.jsonl" \
		-lines "generic=$$dir/text-tweeteval/*/*_text.txt" -lines "generic=$$dir/text-tweeteval/*/*/*_text.txt" \
		-background "$$dir/dev/*.jsonl"

bench-scan: ## scan and trace as the index grows: 0.1, 1 and 10 million made records
	@for n in 100000 1000000 10000000; do CUSTODY_BENCH_RECORDS=$$n $(GO) test -run '^$$' -bench 'Scan|Trace' -benchtime 5x -timeout 60m ./index/scan | grep '^Benchmark'; done

interop: $(VENV)/ready ## what real clients read of our files
	CUSTODY_TEST_PYTHON=$(CURDIR)/$(VENV)/bin/python $(GO) test -count 1 -run Interop $(TESTFLAGS) ./...

$(VENV)/ready: $(wildcard $(REQUIRE))
	$(PYTHON) -m venv $(VENV)
	if [ -f $(REQUIRE) ]; then $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $(REQUIRE); fi
	touch $@

clean: ## what a build or a test leaves behind
	rm -rf custody custody.exe .venv .fuzz.out custody-demo
