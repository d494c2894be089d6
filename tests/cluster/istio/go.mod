module coalmine.canary/tests/cluster/istio

go 1.26.0

require istio.io/api v1.32.0
