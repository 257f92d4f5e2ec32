# What the figure of the overlay shows, done. Run as root in an empty folder of a mount namespace of one's own:
#   unshare --mount sh overlay.sh
# A test runs it and holds book/recorded/overlay.txt to what comes out.
set -e
mount -t tmpfs overlay-figure .
# A mount does not move those who stand under it.
cd "$PWD"
mkdir lower upper work view
echo 'as delivered' >lower/chart
echo 'empty' >lower/log

# Every name in each of the three, and what it is.
show() {
    for at in lower upper view; do
        for path in "$at"/*; do
            if [ -c "$path" ]; then echo "$at ${path#*/}: whiteout, device $(stat -c %t,%T "$path")"
            elif [ -e "$path" ]; then echo "$at ${path#*/}: $(paste -sd/ "$path")"; fi
        done
    done
    echo
}

step() { echo "# $1"; echo "\$ $2"; eval "$2"; show; }

step 'Two layers, one on the other. The view holds nothing: what it shows comes from below.' \
    'mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work view'
step 'Written: a new file comes to lie in upper. The lower directory is not touched.' \
    'echo hello > view/note'
step 'Changed: the whole file is copied up first, then changed there. The lower one stays as it was delivered.' \
    'echo "one line more" >> view/chart'
step 'Removed: what lies below cannot be deleted, so upper gets a mark that hides it, a whiteout.' \
    'rm view/log'
step 'Removed, where upper alone had it: it is gone, and needs no mark.' \
    'rm view/note'
