module custody

go 1.26.0

require (
	github.com/FastFilter/xorfilter v0.4.2-0.20260120015552-4e5a4d9df65a // binary fuse filters, by their authors
	github.com/andybalholm/brotli v1.2.3 // Content-Encoding: br, in WARC; Parquet needs it anyway
	github.com/apache/arrow-go/v18 v18.8.0 // Arrow IPC, by its authors; formats only
	github.com/cespare/xxhash/v2 v2.3.0 // XXH64, which the fingerprints are
	github.com/dgraph-io/badger/v4 v4.9.6 // facts and manifest; index only
	github.com/dsnet/compress v0.0.1 // bzip2 is written; small, BSD, the only one in pure Go
	github.com/github/go-spdx/v2 v2.8.0 // SPDX licence expressions and the list of licences
	github.com/gofrs/flock v0.13.2 // advisory locks on all systems
	github.com/google/flatbuffers v25.12.19+incompatible // metadata of Arrow is checked before it is believed
	github.com/google/licensecheck v0.3.1 // licences by their texts
	github.com/klauspost/compress v1.20.3 // gzip and zstd, the fastest in pure Go
	github.com/parquet-go/parquet-go v0.32.0 // formats only
	github.com/rogpeppe/go-internal v1.16.0 // testscript: a verb is tested as its user runs it
	github.com/spf13/cobra v1.10.2 // cmd only
	github.com/spf13/pflag v1.0.9 // cobra's flags
	github.com/ulikunitz/xz v0.5.17 // xz; the only maintained one in pure Go
	github.com/valyala/fastjson v1.6.10 // JSON of rows at 1 GB/s, digits kept
	go.yaml.in/yaml/v3 v3.0.6 // declare files, with the line of every value; the YAML organisation's own
	golang.org/x/crypto v0.58.0 // scrypt and ChaCha20-Poly1305, for a key file with a passphrase
	golang.org/x/mod v0.42.0 // tlog and note: the ledger
	golang.org/x/sys v0.49.0 // mmap, free space
	golang.org/x/term v0.47.0 // is it a terminal
	golang.org/x/text v0.43.0 // Unicode data, in tests and the generator of frozen tables; charsets of web pages
	golang.org/x/tools v0.52.0 // txtar: a source is one text file
	pgregory.net/rapid v1.3.0 // property tests
)

require (
	github.com/dgraph-io/ristretto/v2 v2.2.0 // indirect
	github.com/dustin/go-humanize v1.0.1 // indirect
	github.com/go-logr/logr v1.4.3 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/goccy/go-json v0.10.6 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/klauspost/cpuid/v2 v2.4.0 // indirect
	github.com/parquet-go/bitpack v1.0.0 // indirect
	github.com/parquet-go/jsonlite v1.0.0 // indirect
	github.com/pierrec/lz4/v4 v4.1.29 // indirect
	github.com/twpayne/go-geom v1.6.1 // indirect
	github.com/zeebo/xxh3 v1.1.0 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/otel v1.41.0 // indirect
	go.opentelemetry.io/otel/metric v1.41.0 // indirect
	go.opentelemetry.io/otel/trace v1.41.0 // indirect
	golang.org/x/exp v0.0.0-20260112195511-716be5621a96 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
