for file in /etc/shadow /root/.ssh/authorized_keys /var/lib/aurora-core/records/hoststat; do
    if cat "$file"; then echo "I read $file"; else echo "I could not read $file"; fi
done
exec sleep 1000000
