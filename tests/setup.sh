#!/usr/bin/env bash
# Installs what a fresh Debian 12 or newer lacks to build and test Alfarid. It lists what is
# missing and asks first when a person is there; CI=true means yes.
set -euo pipefail

packages=(
	# to build
	build-essential pkg-config cmake clang
	libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libasound2-dev
	# to play, record and make pictures
	gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
	gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-tools gstreamer1.0-x
	# to make a classroom: hosts, switches, a teacher's browser and screen
	iproute2 nftables tcpdump util-linux chromium xvfb xauth x11-utils x11-apps imagemagick
	libnss3-tools fonts-dejavu-core pulseaudio
)

missing=()
for package in "${packages[@]}"; do
	dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done

command -v cargo >/dev/null || { echo "Rust is missing: install it from rustup.rs or with apt." >&2; exit 1; }
command -v npm >/dev/null || { echo "Node.js 20 or newer with npm is missing." >&2; exit 1; }

if ((${#missing[@]})); then
	printf 'These Debian packages are missing:\n  %s\n' "${missing[*]}"
	if [[ ${CI:-} != true ]]; then
		[[ -t 0 ]] || { echo "Install them, or say CI=true to have it done." >&2; exit 1; }
		read -rp 'Install them now? [y/N] ' answer
		[[ $answer == [yY]* ]] || exit 1
	fi
	as_root=()
	((EUID == 0)) || as_root=(sudo)
	"${as_root[@]}" apt-get update -q
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -qy --no-install-recommends "${missing[@]}"
fi

if [[ -f tests/browser/package-lock.json && ! tests/browser/node_modules/.installed -nt tests/browser/package-lock.json ]]; then
	npm --prefix tests/browser ci --no-audit --no-fund --silent
	touch tests/browser/node_modules/.installed
fi
