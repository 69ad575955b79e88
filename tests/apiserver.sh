#!/bin/bash
# Builds the API server of Kubernetes 1.20 from Debian bookworm's source into build/kubernetes, for the
# test that deploys to one: no newer one comes by a package registry. As root; minutes of processor.
set -euo pipefail
out=$(cd "$(dirname "$0")/.." && pwd)/build/kubernetes
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GOROOT=/usr/lib/go-1.19 GO111MODULE=off GOFLAGS=-trimpath GOPATH=$work GOCACHE=$work/cache
export PATH=$GOROOT/bin:$PATH

cd "$work"
sed 's/^Types: deb$/Types: deb-src/' /etc/apt/sources.list.d/debian.sources > src.sources
mkdir -p lists/partial src/k8s.io/kubernetes "$out"
source=(-o "Dir::Etc::sourcelist=$work/src.sources" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$work/lists")
apt-get -qq "${source[@]}" update
apt-get -qq "${source[@]}" source --download-only kubernetes
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  etcd-server golang-1.19-go golang-github-modern-go-reflect2-dev

cd src/k8s.io/kubernetes
tar xzf "$work"/kubernetes_*.orig.tar.gz --strip-components 1
# The reflect2 that it carries does not build with Go 1.18 and later.
rm vendor/github.com/modern-go/reflect2/go_*_17.go
cp /usr/share/gocode/src/github.com/modern-go/reflect2/* vendor/github.com/modern-go/reflect2/

# What its own Makefile generates: the schemas by which server-side apply merges.
tagged=$(grep --include='*.go' --exclude='*_test.go' -rl '+k8s:openapi-gen=' pkg staging/src/k8s.io \
  | xargs -n1 dirname | sort -u | grep -v 'sample-\|code-generator\|/cmd/' \
  | sed 's|^staging/src/|vendor/|; s|^|k8s.io/kubernetes/|' | paste -sd,)
machinery=k8s.io/kubernetes/vendor/k8s.io/apimachinery/pkg
go build -o "$work/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
"$work/openapi-gen" -O zz_generated.openapi -o "$work/src" -r "$work/report" \
  --go-header-file hack/boilerplate/boilerplate.generatego.txt \
  -p k8s.io/kubernetes/pkg/generated/openapi -i "$tagged,$machinery/version,$machinery/runtime"

version=k8s.io/component-base/version
go build -o "$out/kube-apiserver" -ldflags \
  "-s -w -X $version.gitVersion=v1.20.2 -X $version.gitMajor=1 -X $version.gitMinor=20" ./cmd/kube-apiserver
