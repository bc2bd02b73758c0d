#!/bin/bash
# Boots systemd as PID 1 on an overlay of `/`: everything that it writes goes to a tmpfs and is gone when it ends.
# Run it as root by `unshare --fork --pid --mount --net --ipc --uts --cgroup`, see machine.py.
#   boot_machine.sh EMPTY-FOLDER SHARED-FOLDER     the second one is /shared in there
set -euo pipefail
folder=$1
shared=$2

mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$folder"
mkdir "$folder"/{upper,work,root}
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" overlay "$folder/root"
root=$folder/root

mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 kmsg:1:11; do
  IFS=: read -r name major minor <<<"$device"
  mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done
mkdir "$root"/dev/{pts,shm}
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir -p "$root/shared"
mount --bind "$shared" "$root/shared"

# Beside localhost an address that the unit may not reach.
ip link set lo up
ip address add 192.0.2.10/32 dev lo

# Of the early services, only the journal: there is no hardware here to get ready, and no clock to set.
rm -rf "$root"/{etc,lib}/systemd/system/{sysinit,local-fs,timers,sockets,multi-user}.target.wants
ln -s /dev/null "$root/etc/systemd/system/systemd-remount-fs.service"
rm -rf "$root"/etc/{mosquitto/conf.d,millwright,systemd/system/millwright.service.d}
mkdir -p "$root/etc/mosquitto/conf.d"
cat >"$root/etc/systemd/system/machine.target" <<TARGET
[Unit]
Description=What the checks start things on
Requires=systemd-journald.service
After=systemd-journald.service
TARGET

# pivot_root and not chroot: with the latter, PrivateUsers= fails.
mkdir -p "$root/before"
cd "$root"
pivot_root . before
umount -l /before
# As systemd does where it boots hardware; without it, credentials do not reach the services.
mount --make-rshared /
exec env -i container=millwright-check PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --unit=machine.target --log-target=journal --show-status=no </dev/null
