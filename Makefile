# For people at work on Leat. Users and machines need none of it: `go test ./...` and
# `bash .ci/run` stand alone.

.PHONY: check test gen fmt

# What to run before a commit: format, vet, lints, all tests.
check:
	bash .ci/run static tests

test:
	go test ./...

fmt:
	gofmt -w .

# Writes the generated files anew; they are committed. Needs protoc, and protoc-gen-go from
#   go install google.golang.org/protobuf/cmd/protoc-gen-go
# in the version of go.mod.
gen:
	protoc -I . --go_out=. --go_opt=paths=source_relative \
		$$(git ls-files -co --exclude-standard '*.proto')
	go generate ./...
