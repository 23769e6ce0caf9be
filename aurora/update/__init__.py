"""Packages of modules and their signatures; slots and rollback are in runtime.

package    a module's folder -> the content of a .deb      PURE
build      that content -> the .deb
ar         a .deb's outermost layer                  PURE
tar        an archive's bytes -> its members               PURE
decompress a part that xz compressed -> its bytes
members    what a package may hold                         PURE
unpack     a .deb of anybody -> its module, or what is against it
offered    packages that lie in a folder -> those to update to   PURE
versions   which version is the later one            PURE
signature  what is signed, and how it is written           PURE
signed     a .deb -> what it is, and its signatures; putting them there
incoming   apt's list of what it is to install        PURE
kinds      the kinds of keys, and their public keys in text  PURE
ecdsa      signatures of the kind that tokens make
keys       keys in files made, used and sealed
keyring    the owner's keys and rules, from bytes          PURE
keystore   where keys lie
tokenuri   URIs of tokens and of keys in them         PURE
tokenfile  the file of a key in a token, and what tokens have of it
tokens     keys in tokens made, found and used
trust      whether a package may be installed        PURE
"""
