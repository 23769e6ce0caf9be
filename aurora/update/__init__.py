"""Packages of modules. Signatures, slots and rollback are to live here.

package   a module's folder -> the content of a .deb     PURE
build     that content -> the .deb, and back
"""
