# Thin: each target is one or two commands that can be typed by hand. Needs root, Debian or alike, and 10 GB of disk.
.DEFAULT_GOAL := help
.PHONY: help demo test power-cuts autobahn browsers lint deb repo bench bench-link bench-update shell vm clean

help:  ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo:  ## What it does, shown in a virtual machine, phase by phase
	tests/vm/demo

test:  ## Everything: linters, tests, the package, tests in a virtual machine
	tests/vm/all

power-cuts:  ## The power cut at random moments amid changes and updates [N=300] (hours, without KVM)
	tests/vm/all power-cuts $(if $(N),--cuts '$(N)')

autobahn:  ## The Autobahn test suite's cases for WebSocket servers
	tests/vm/all autobahn

browsers:  ## AuroraLink from a web browser and from Node, in a virtual machine
	tests/vm/all browsers

lint:  ## Linters only
	tests/vm/all lint

deb:  ## The Debian package, checked by lintian, into dist/
	tests/vm/all package
	mkdir -p dist && cp $$(tests/vm/run --build) dist/

repo:  ## A signed apt repository in dist/repo [KEY=GnuPG key] [SIGNER=FILE.key] [DEBS="..."]
	tests/vm/repo $(if $(KEY),--key '$(KEY)') $(if $(SIGNER),--signer '$(SIGNER)') $(DEBS)

bench:  ## Comparisons with peers, as ratios
	tests/bench/run

bench-link:  ## AuroraLink against mosquitto, nats-server and redis-server, as ratios
	tests/bench/link/run

bench-update:  ## Updates of modules against a bare restart, dpkg-deb and plain dpkg, as ratios
	tests/bench/update/run

shell:  ## A root shell in a virtual machine with the package installed, which stays for the next time
	tests/vm/run --keep --shell

vm:  ## Boot that machine, or bring it up to date
	tests/vm/run --keep -- auroractl --version

clean:  ## End that machine and remove what git ignores; the cache (~/.cache/aurora-core) stays
	tests/vm/run --stop
	git clean -fdXq
