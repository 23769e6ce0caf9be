#!/bin/sh
# Takes part in AuroraLink by socat: reads numbers from the topic HEAR, and tells each, one larger, to the topic TELL.
#
# The hub is a unix socket, and a message is a line of JSON. socat connects, and runs this script once more with that
# connection as its standard input and output: what it reads, the hub has said; what it writes, the hub hears.
set -u

hear=${HEAR:-relay/shell}
tell=${TELL:-relay/c}

log() { # PRIORITY TEXT, on stderr: stdout may be the hub
	printf '<%s>%s\n' "$1" "$2" >&2
}

say() { # one message
	printf '%s\n' "$1"
}

talk() {
	say '{"type":"hello","version":1}'
	say "{\"type\":\"sub\",\"topic\":\"$hear\",\"id\":\"subscribed\"}"
	while IFS= read -r line; do
		case $line in
		'{"type":"ack"'*) # it is answered by the id that it was given
			[ -z "${NOTIFY_SOCKET:-}" ] || systemd-notify --ready --status="listens to $hear"
			;;
		'{"type":"error"'*)
			log 4 "refused: $line"
			;;
		'{"type":"pub"'*)
			# The data is the last member, and no quote stands bare inside the ones before: jq would be overkill.
			number=${line#*'"data":'}
			number=${number%\}}
			case $number in
			'' | *[!0-9]* | ??????????*) log 4 "no number: $line" ;;
			*)
				say "{\"topic\":\"$tell\",\"data\":$((number + 1))}"
				log 6 "heard $number"
				;;
			esac
			;;
		esac
	done
}

if [ "${1:-}" = talk ]; then
	talk
	exit
fi

# When the hub goes, socat ends; then again, after a delay that grows.
place=${AURORA_LINK:-unix:/run/aurora/link.sock}
delay_sec=1
while :; do
	began=$(date +%s)
	socat "UNIX-CONNECT:${place#unix:}" "EXEC:/bin/sh run.sh talk" &
	child=$!
	trap 'kill "$child"; exit 0' TERM INT
	wait "$child"
	[ $(($(date +%s) - began)) -lt 10 ] || delay_sec=1
	log 4 "AuroraLink is away; again in $delay_sec s"
	sleep "$delay_sec" &
	child=$!
	wait "$child"
	delay_sec=$((delay_sec < 30 ? delay_sec * 2 : 30))
done
