#!/usr/bin/env bash
# Installs what a fresh Debian 12 or newer lacks to build and test Alfarid; with the argument
# `bench`, what the benches measure beside as well. It lists what is missing and asks first when a
# person is there; CI=true means yes.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
	# to fetch what the rest is built from
	ca-certificates
	# to build
	build-essential pkg-config cmake clang
	libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libasound2-dev
	# to play, record and make pictures
	gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
	gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-tools gstreamer1.0-x
	# to watch an open room with a player that is not ours
	ffmpeg
	# to make a classroom: hosts, switches, a teacher's browser and screen
	iproute2 nftables tcpdump util-linux chromium xvfb xauth x11-utils x11-apps imagemagick xdotool
	libnss3-tools fonts-dejavu-core pulseaudio libasound2-plugins
	# to run the box as a service: the programs of systemd, which need not be running
	systemd
)

if [[ ${1:-} == bench ]]; then
	# a peer for browsers that watch, and a reader of small text
	packages+=(janus tesseract-ocr)
fi

# What the pages' tools ask for (web-admin/package.json), and what is installed when it is not
# there: Debian 12 has Node.js 18. From npm's registry, which is needed anyway, into /usr/local.
node_needed=20.19
node_package=node-linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')@22
npm_package=npm@10

rust_needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

# is_at_least NEEDED FOUND
is_at_least() {
	[[ -n $2 ]] && printf '%s\n' "$1" "$2" | sort --version-sort --check=quiet
}

node_version() {
	hash -r
	node --version 2>/dev/null | tr -d v
}

is_node_fine() {
	is_at_least "$node_needed" "$(node_version)" && command -v npm >/dev/null
}

say() {
	printf '%s\n' "$@" >&2
}

rust=$(cargo --version 2>/dev/null | cut -d' ' -f2) || rust=
if ! is_at_least "$rust_needed" "$rust"; then
	say "Rust $rust_needed or newer is missing (found: ${rust:-none}; Debian 12 has an older one)." \
		"Install rustup as https://rustup.rs says (Debian 13: apt install rustup), open a new" \
		"terminal and come again: rustup then fetches the right Rust by itself."
	exit 1
fi

missing=()
for package in "${packages[@]}"; do
	dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
from_npm=()
if ! is_node_fine; then
	from_npm=("$node_package" "$npm_package")
	command -v npm >/dev/null || missing+=(npm)
fi

if ((${#missing[@]} + ${#from_npm[@]})); then
	((${#missing[@]} == 0)) || printf 'These Debian packages are missing:\n  %s\n' "${missing[*]}"
	((${#from_npm[@]} == 0)) || printf 'Node.js %s or newer is missing (found: %s). From npm, into /usr/local:\n  %s\n' \
		"$node_needed" "$(node_version || echo none)" "${from_npm[*]}"
	if [[ ${CI:-} != true ]]; then
		[[ -t 0 ]] || { say "Install them, or say CI=true to have it done."; exit 1; }
		read -rp 'Install them now? [y/N] ' answer
		[[ $answer == [yY]* ]] || exit 1
	fi
	as_root=()
	if ((EUID != 0)); then
		command -v sudo >/dev/null || { say "Run this as root: there is no sudo here."; exit 1; }
		as_root=(sudo)
	fi
fi

if ((${#missing[@]})); then
	# The bench starts a Janus of its own: the service that Debian would start is not wanted.
	if [[ " ${missing[*]} " == *' janus '* && -d /run/systemd/system ]]; then
		"${as_root[@]}" systemctl mask janus.service
		echo "janus.service is masked; systemctl unmask janus.service gives it back."
	fi
	"${as_root[@]}" apt-get update -q
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -qy --no-install-recommends "${missing[@]}"
fi

# Debian 13's Node.js, which came with npm, is new enough.
if ! is_node_fine; then
	"${as_root[@]}" npm install --global --prefix /usr/local --no-audit --no-fund "${from_npm[@]}"
	if ! is_node_fine; then
		say "Node.js is still $(node_version): $(command -v node) stands before /usr/local/bin in PATH." \
			"Update that one to $node_needed or newer, or put /usr/local/bin in front of it."
		exit 1
	fi
fi

if [[ ! tests/browser/node_modules/.installed -nt tests/browser/package-lock.json ]]; then
	npm --prefix tests/browser ci --no-audit --no-fund --silent
	touch tests/browser/node_modules/.installed
fi
