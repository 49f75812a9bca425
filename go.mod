module custody

go 1.26.0

require (
	github.com/Azure/azure-sdk-for-go/sdk/azcore v1.23.1 // errors of azureblob; formats/remote only
	github.com/Azure/azure-sdk-for-go/sdk/storage/azblob v1.8.0 // what azureblob opens; formats/remote only
	github.com/FastFilter/xorfilter v0.4.2-0.20260120015552-4e5a4d9df65a // binary fuse filters, by their authors
	github.com/andybalholm/brotli v1.2.3 // Content-Encoding: br, in WARC; Parquet needs it anyway
	github.com/apache/arrow-go/v18 v18.8.0 // Arrow IPC, by its authors; formats only
	github.com/aws/aws-sdk-go-v2 v1.46.0 // errors of s3blob; formats/remote only
	github.com/aws/aws-sdk-go-v2/service/s3 v1.111.0 // what s3blob opens; formats/remote only
	github.com/aws/smithy-go v1.28.1 // error codes of S3; formats/remote only
	github.com/cespare/xxhash/v2 v2.3.0 // XXH64, which the fingerprints are
	github.com/dgraph-io/badger/v4 v4.9.6 // facts and manifest; index only
	github.com/dsnet/compress v0.0.1 // bzip2 is written; small, BSD, the only one in pure Go
	github.com/github/go-spdx/v2 v2.8.0 // SPDX licence expressions and the list of licences
	github.com/gofrs/flock v0.13.2 // advisory locks on all systems
	github.com/google/flatbuffers v25.12.19+incompatible // metadata of Arrow is checked before it is believed
	github.com/google/licensecheck v0.3.1 // licences by their texts
	github.com/klauspost/compress v1.20.3 // gzip and zstd, the fastest in pure Go
	github.com/parquet-go/parquet-go v0.32.0 // formats only
	github.com/pierrec/lz4/v4 v4.1.29 // pages of Parquet that parquet-go decodes wrongly; it needs it anyway
	github.com/rogpeppe/go-internal v1.16.0 // testscript: a verb is tested as its user runs it
	github.com/spf13/cobra v1.10.2 // cmd only
	github.com/spf13/pflag v1.0.9 // cobra's flags
	github.com/ulikunitz/xz v0.5.17 // xz; the only maintained one in pure Go
	github.com/valyala/fastjson v1.6.10 // JSON of rows at 1 GB/s, digits kept
	go.yaml.in/yaml/v3 v3.0.6 // declare files, with the line of every value; the YAML organisation's own
	gocloud.dev v0.47.0 // s3://, az://; formats/remote only
	golang.org/x/crypto v0.58.0 // scrypt and ChaCha20-Poly1305, for a key file with a passphrase
	golang.org/x/mod v0.42.0 // tlog and note: the ledger
	golang.org/x/oauth2 v0.36.0 // credentials of Google; formats/remote only
	golang.org/x/sys v0.49.0 // mmap, free space
	golang.org/x/term v0.47.0 // is it a terminal
	golang.org/x/text v0.43.0 // Unicode data, in tests and the generator of frozen tables; charsets of web pages
	golang.org/x/tools v0.52.0 // txtar: a source is one text file
	pgregory.net/rapid v1.3.0 // property tests
)

require (
	cloud.google.com/go/auth v0.23.2 // indirect
	cloud.google.com/go/auth/oauth2adapt v0.2.8 // indirect
	cloud.google.com/go/compute/metadata v0.9.0 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/azidentity v1.14.1 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/internal v1.12.0 // indirect
	github.com/AzureAD/microsoft-authentication-library-for-go v1.9.0 // indirect
	github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream v1.7.20 // indirect
	github.com/aws/aws-sdk-go-v2/config v1.33.3 // indirect
	github.com/aws/aws-sdk-go-v2/credentials v1.20.3 // indirect
	github.com/aws/aws-sdk-go-v2/feature/ec2/imds v1.19.2 // indirect
	github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager v0.4.3 // indirect
	github.com/aws/aws-sdk-go-v2/internal/configsources v1.5.2 // indirect
	github.com/aws/aws-sdk-go-v2/internal/endpoints/v2 v2.8.2 // indirect
	github.com/aws/aws-sdk-go-v2/internal/v4a v1.5.2 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/accept-encoding v1.13.19 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/checksum v1.11.2 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/presigned-url v1.14.2 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/s3shared v1.20.2 // indirect
	github.com/aws/aws-sdk-go-v2/service/signin v1.9.0 // indirect
	github.com/aws/aws-sdk-go-v2/service/sso v1.37.0 // indirect
	github.com/aws/aws-sdk-go-v2/service/ssooidc v1.42.0 // indirect
	github.com/aws/aws-sdk-go-v2/service/sts v1.49.0 // indirect
	github.com/dgraph-io/ristretto/v2 v2.2.0 // indirect
	github.com/dustin/go-humanize v1.0.1 // indirect
	github.com/go-logr/logr v1.4.4 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/goccy/go-json v0.10.6 // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/google/s2a-go v0.1.9 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/google/wire v0.7.0 // indirect
	github.com/googleapis/enterprise-certificate-proxy v0.3.21 // indirect
	github.com/googleapis/gax-go/v2 v2.24.1 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/klauspost/cpuid/v2 v2.4.0 // indirect
	github.com/kylelemons/godebug v1.1.0 // indirect
	github.com/parquet-go/bitpack v1.0.0 // indirect
	github.com/parquet-go/jsonlite v1.0.0 // indirect
	github.com/pkg/browser v0.0.0-20240102092130-5ac0b6a4141c // indirect
	github.com/twpayne/go-geom v1.6.1 // indirect
	github.com/zeebo/xxh3 v1.1.0 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/otel v1.46.0 // indirect
	go.opentelemetry.io/otel/metric v1.46.0 // indirect
	go.opentelemetry.io/otel/sdk v1.46.0 // indirect
	go.opentelemetry.io/otel/sdk/metric v1.46.0 // indirect
	go.opentelemetry.io/otel/trace v1.46.0 // indirect
	golang.org/x/exp v0.0.0-20260112195511-716be5621a96 // indirect
	golang.org/x/net v0.61.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/xerrors v0.0.0-20240903120638-7835f813f4da // indirect
	google.golang.org/api v0.297.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260904194346-d0f1323225a4 // indirect
	google.golang.org/grpc v1.83.2 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
