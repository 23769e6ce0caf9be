#!/bin/sh
# Warns when a file system is nearly full, and says when there is room again.
#
# The shell speaks to systemd through systemd-notify(1) and to the journal through the <N> of a priority in
# front of a line (sd-daemon(3)). In the environment, with these defaults:
#   WATCH_PATHS=/:.        one path in each file system to watch, separated by colons
#   WARN_USED_PERCENT=90   from here on it is nearly full
#   INTERVAL_SEC=30        between two looks; shorter where the watchdog wants it so
set -u

watch_paths=${WATCH_PATHS:-/:.}
warn_percent=${WARN_USED_PERCENT:-90}
turn_sec=${INTERVAL_SEC:-30}
calm_points=2 # this far below the threshold it has room again, so that a value at the threshold does not chatter

log() { # PRIORITY TEXT
	printf '<%s>%s\n' "$1" "$2" >&2
}

notify() { # as systemd-notify; nothing where nobody listens
	[ -z "${NOTIFY_SOCKET:-}" ] || systemd-notify "$@"
}

require_number() { # NAME VALUE
	case $2 in
	'' | *[!0-9]*)
		log 3 "cannot use $1, because \"$2\" is not a whole number, at [environment] in module.toml; try $1 = \"10\""
		exit 78 # EX_CONFIG
		;;
	esac
}

# A path is compared with its own last level, kept in level_1, level_2, ... in the order of WATCH_PATHS.
look_at() { # NUMBER PATH
	was=''
	eval "was=\${level_$1:-new}"
	now=gone device='' free_kib='' percent=''
	{
		read -r _
		read -r device _ _ free_kib percent _
	} <<-END
		$(df -P -k -- "$2" 2>/dev/null)
	END
	percent=${percent%\%}
	# The sandbox puts an empty tmpfs over what it hides; its figures say nothing about the disk behind it.
	[ "$device" != tmpfs ] || percent=''
	case $percent in
	'' | *[!0-9]*) ;; # not there, not in view, or a file system that holds nothing
	*)
		case " $seen " in
		*" $device "*) return ;; # two paths, one file system
		esac
		seen="$seen $device"
		if [ "$percent" -ge "$warn_percent" ]; then
			now=full
		elif [ "$was" != full ] || [ "$percent" -lt $((warn_percent - calm_points)) ]; then
			now=calm
		else
			now=full
		fi
		;;
	esac
	eval "level_$1=$now"
	tell "$was" "$now" "$2"
}

tell() { # WAS NOW PATH: one line for each change, none while nothing changes
	figures="$percent % used, $((${free_kib:-0} / 1024)) MiB free"
	[ "$2" = gone ] || summary="${summary:+$summary; }$3 $figures"
	case $1-$2 in
	new-calm) log 6 "$3 on $device: $figures" ;;
	full-calm | gone-calm) log 6 "$3 on $device has room again: $figures" ;;
	full-full | gone-gone | calm-calm) ;;
	*-full) log 4 "$3 on $device is nearly full: $figures; the threshold is $warn_percent % used" ;;
	*-gone) log 4 "cannot watch $3, because it is not there, or not in the sandbox's view" ;;
	esac
}

look_at_all() {
	seen='' summary='' number=0
	old_ifs=$IFS
	IFS=:
	set -f # a path is taken as it is
	# shellcheck disable=SC2086  # the colons separate
	set -- $watch_paths
	set +f
	IFS=$old_ifs
	for path in "$@"; do
		number=$((number + 1))
		look_at "$number" "$path"
	done
}

sleeper=''
# systemd reports no failure for a stop that it asked for; without the trap, wait would end, and the loop go on.
# shellcheck disable=SC2329  # called by the trap
stop() {
	trap '' TERM INT
	[ -z "$sleeper" ] || kill "$sleeper" 2>/dev/null
	log 6 'stopped watching'
	exit 0
}
trap stop TERM INT

require_number WARN_USED_PERCENT "$warn_percent"
require_number INTERVAL_SEC "$turn_sec"
require_number WATCHDOG_USEC "${WATCHDOG_USEC:-0}"
watchdog_sec=$((${WATCHDOG_USEC:-0} / 2000000)) # half of what is allowed
if [ "$watchdog_sec" -gt 0 ] && [ "$watchdog_sec" -lt "$turn_sec" ]; then
	turn_sec=$watchdog_sec
fi

look_at_all
notify --ready --status="$summary"
while :; do
	# In the background: a trap runs at once during wait, but only after the end of a command in front.
	sleep "$turn_sec" &
	sleeper=$!
	wait "$sleeper"
	look_at_all
	notify --status="$summary" WATCHDOG=1
done
