"""Packages of modules. Signatures, slots and rollback are to live here.

package   a module's folder -> the content of a .deb     PURE
build     that content -> the .deb
ar        a .deb's outermost layer                 PURE
tar       an archive's bytes -> its members              PURE
members   what a package may hold                        PURE
unpack    a .deb of anybody -> its module, or what is against it
"""
