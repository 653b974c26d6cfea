/*
preact

The MIT License (MIT)

Copyright (c) 2015-present Jason Miller

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.

uplot

The MIT License (MIT)

Copyright (c) 2022 Leon Sorokin

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in
all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN
THE SOFTWARE.
*/
"use strict";(()=>{var ve,vi,gf,Pn,Rs,Eo,yi,Mo,xi,Ds,As,wf,Xr=Symbol.for("pv"),Lo={},Ro=[],_f=/^m(i|n|o|s|text|space)$/,Os=Array.isArray,ki=Ro.slice,Qn=Object.assign;function Jn(e){
e&&e.parentNode&&e.remove()}function $o(e,t,n,r,o){var i={type:e,props:t,key:n,ref:r,__k:null,__:null,__b:0,__e:null,__c:null,constructor:Xr,__v:o||++vi,__i:-1,__u:0};return!o&&ve.vnode&&ve.
vnode(i),i}function z(e){return e.children}function Co(e,t){this.props=e,this.context=t,this.__g=0}function En(e,t){if(t==null)return e.__&&En(e.__,e.__i+1);for(var n;t<e.
__k.length;t++)if((n=e.__k[t])&&n.__e)return n.__e;return typeof e.type!="function"||e.props.__P?null:En(e)}function bf(e){var t,n=e.__v,r=n.__e,o=[],i=[],l=e.__P;
l&&((t=Qn({constructor:Xr},n)).__v=n.__v+1,ve.vnode&&ve.vnode(t),Hs(l,t,n,e.__n,l.namespaceURI,32&n.__u?[r]:null,o,r||En(n),32&n.__u,i),t.__v=n.__v,t.__.__k[t.__i]=
t,Pi(o,t,i),n.__=n.__e=null,t.__e!=r&&Si(t))}function Si(e){if((e=e.__)&&e.__c&&!e.props.__P)return e.__e=null,e.__k.some(function(t){return t&&(e.__e=t.__e)}),
Si(e)}function _i(e){(8&e.__g||(e.__g|=8,Pn.push(e),Eo++))&&Rs==ve.debounceRendering||((Rs=ve.debounceRendering)||queueMicrotask)(Ti)}function Ti(){try{for(var e,
t=1;Pn.length;)Pn.length>t&&Pn.sort(yi),e=Pn.shift(),t=Pn.length,8&e.__g&&bf(e)}finally{(Eo=Pn.length)&&(Rs||queueMicrotask)(Ti)}}function Mi(e,t,n,r,o,i,l,u,f,d,m){
var g,_,w,x,M,$,C=r.__k||Ro,v=t.length;for(f=vf(n,t,C,f,v),g=0;g<v;g++)(w=n.__k[g])!=null&&(_=~w.__i&&C[w.__i]||Lo,w.__i=g,$=Hs(e,w,_,o,i,l,u,f,d,m),x=w.__e,(_.
ref!=w.ref||8&_.__u)&&(_.ref&&Ns(_.ref,null,w,_),w.ref&&m.push(w.ref,w.__c||x,w)),M=M||x,4&w.__u?(f=$i(w,f,e,!_.__v),_.__e&&(_.__e=null)):typeof w.type=="functi\
on"&&$!==void 0?f=$:x&&(f=x.nextSibling),w.__u&=-21);return n.__e=M,f}function vf(e,t,n,r,o){var i,l,u,f,d,m,g,_,w,x=n.length,M=x,$=0,C=0,v=e.__k=Array(o);for(i=
0;i<o;i++)(l=t[i])!=null&&typeof l!="boolean"&&typeof l!="function"?(typeof l!="object"||l.constructor===String?l=v[i]=$o(null,l):Os(l)?l=v[i]=$o(z,{children:l}):
l.constructor===Xr&&l.__b?l=v[i]=$o(l.type,l.props,l.key,l.ref,l.__v):v[i]=l,f=i+$,l.__=e,l.__b=e.__b+1,u=null,~(d=l.__i=yf(l,n,f,M))&&(M--,(u=n[d])&&(u.__u|=2)),
u&&u.__v?(l.__u|=16,d==f-1?$--:d==f+1?$++:d!=f&&(d>f?$--:$++,C=1)):(~d||(o>x?$--:o<x&&$++),typeof l.type!="function"&&(l.__u|=4))):v[i]=null;if(C){for(m=[],g=[],
i=0;i<o;i++)if((l=v[i])&&16&l.__u){for($=0,_=m.length;$<_;)m[w=$+_>>1]<l.__i?$=w+1:_=w;m[$]=l.__i,g[i]=$+1}for($=m.length;i--;)g[i]&&(g[i]==$?$--:v[i].__u|=4)}if(M)
for(i=0;i<x;i++)!(u=n[i])||2&u.__u||(u.__e==r&&(r=En(u)),Fs(u,u));return r}function $i(e,t,n,r){var o,i,l,u;if(typeof e.type=="function"){if(e.props.__P)return t;
if(o=e.__k)for(i=0;i<o.length;i++)o[i]&&(o[i].__=e,t=$i(o[i],t,n,!1));return t}for(t&&!t.parentNode&&(t=En(e))&&!t.parentNode&&(t=null),l=e.__e,u=t;u&&u.nodeType==
8;)u=u.nextSibling;for(l!=u&&(!r&&n.moveBefore&&l.parentNode?n.moveBefore(l,t):n.insertBefore(l,t||null)),t=l;(t=t&&t.nextSibling)&&t.nodeType==8&&!t.data.startsWith(
"$s"););return t}function yf(e,t,n,r){var o,i=e.key,l=e.type,u=t[n],f=u&&!(2&u.__u);if(u===null&&i==null||f&&i==u.key&&l==u.type)return n;if(r>(f?1:0)){for(o=n-1;o>=0;o--)if((u=
t[o])&&!(2&u.__u)&&i==u.key&&l==u.type)return o;for(o=n+1;o<t.length;o++)if((u=t[o])&&!(2&u.__u)&&i==u.key&&l==u.type)return o}return-1}function bi(e,t,n){n==null&&
(n=""),t[0]=="-"?e.setProperty(t,n):e[t]=n}function To(e,t,n,r,o){var i,l;if(t=="style")if(typeof n=="string")e.style.cssText=n;else{if(typeof r=="string"&&(e.style.
cssText=r=""),r)for(t in r)n&&t in n||bi(e.style,t);if(n)for(t in n)r&&n[t]==r[t]||bi(e.style,t,n[t])}else if(t[0]=="o"&&t[1]=="n")typeof n!="function"&&(n=null),
typeof r!="function"&&(r=null),(e.__e||(e.__e={}))[t]=n,n&&r||(l=As[t]||(As[t]=xf(t)),(e.__a||(e.__a={}))[t]=Ds,i=t!=(t=t.replace(xi,"$1")),(t=t.slice(2))[0]<"a"&&
(t=t.toLowerCase()),n?e.addEventListener(t,l,i):e.removeEventListener(t,l,i));else{if(o=="http://www.w3.org/2000/svg")t=t.replace(/xlink(H|:h)/,"h").replace(/sName$/,
"s");else if(t!="width"&&t!="height"&&t!="href"&&t!="list"&&t!="form"&&t!="tabIndex"&&t!="download"&&t!="rowSpan"&&t!="colSpan"&&t!="role"&&t!="popover"&&t in e)
try{return void(e[t]=n??"")}catch{}if(typeof n=="function")return;n==null||n===!1&&t[4]!="-"?e.removeAttribute(t):e.setAttribute(t,t=="popover"&&n==1?"":n)}}function xf(e){
return function(t){var n=this.__e;if(n){if(n=n[e],t[Mo]==null)t[Mo]=Ds++;else if(t[Mo]<this.__a[e])return;return n(ve.event?ve.event(t):t)}}}function Hs(e,t,n,r,o,i,l,u,f,d){
var m,g,_,w,x,M,$,C,v,k,S,V,L,K,B,Z,I,E,F=t.type;if(t.constructor!==Xr)return null;128&n.__u&&(f=32&n.__u,m=n.__c.__z)&&(t.__u|=f,g=i=[],m.nodeType==8?u=Po(m,i):
i.push(m),u=i[0]||u),(m=ve.__b)&&m(t);e:if(typeof F=="function"){_=l.length;try{if(C=t.props,v=(m=F.prototype)&&m.render,k=(m=F.contextType)&&r[m.__c],S=m?k?k.props.
value:m.__:r,(w=n.__c)?(t.__c=w,2&w.__g&&(w.__g|=1)):(v?t.__c=w=new F(C,S):(t.__c=w=new Co(C,S),w.constructor=F,w.render=Sf),k&&k.sub(w),w.state||(w.state={}),w.
__n=r,w.__g|=8,w.__h=[],w.__k=[]),v&&(w.__s||(w.__s=w.state),F.getDerivedStateFromProps&&(w.__s==w.state&&(w.__s=Qn({},w.__s)),Qn(w.__s,F.getDerivedStateFromProps(
C,w.__s)))),x=w.props,M=w.state,w.__v=t,n.__c){if(C!==x&&v&&!F.getDerivedStateFromProps&&w.componentWillReceiveProps&&w.componentWillReceiveProps(C,S),t.__v==n.
__v&&!(8&w.__g)||!(4&w.__g)&&w.shouldComponentUpdate&&w.shouldComponentUpdate(C,w.__s,S)===!1){t.__v!=n.__v&&(w.props=C,w.state=w.__s,w.__g&=-9),t.__e=n.__e,t.__k=
n.__k,t.__k.some(function(A){A&&(A.__=t)}),Ro.push.apply(w.__h,w.__k),w.__k=[],w.__h.length&&l.push(w),u=En(n);break e}w.componentWillUpdate&&w.componentWillUpdate(
C,w.__s,S),v&&w.componentDidUpdate&&w.__h.push(function(){w.componentDidUpdate(x,M,$)})}else v&&!F.getDerivedStateFromProps&&w.componentWillMount&&w.componentWillMount(),
v&&w.componentDidMount&&w.__h.push(w.componentDidMount);w.context=S,w.props=C,w.__P=e,w.__g&=-5,V=ve.__r,L=v?25:0;do w.__g&=-9,V&&V(t),m=w.render(w.props,w.state=
w.__s,w.context);while(8&w.__g&&++L<25);v&&(Ro.push.apply(w.__h,w.__k),w.__k=[]),w.state=w.__s,w.getChildContext&&(r=Qn({},r,w.getChildContext())),v&&n.__c&&w.getSnapshotBeforeUpdate&&
($=w.getSnapshotBeforeUpdate(x,M)),K=m&&m.type===z&&m.key==null?m.props.children:m,C.__P&&(m=u,o=(e=C.__P).namespaceURI,f=i=null,n.props&&n.props.__P!=e&&(n.__k.
some(function(A){A&&Fs(A,A)}),n.__k=null),u=n.__k?En(n,0):null),u=Mi(e,Os(K)?K:[K],t,n,r,o,i,l,u,f,d),C.__P&&(t.__e=null,u=m),t.__u&=-161,g&&g.some(Jn),w.__h.length&&
l.push(w),1&w.__g&&(w.__g&=-4)}catch(A){if(l.length=_,t.__v=null,f||i)if(A&&A.then){if(t.__u|=128|f,i){for(~(I=i.indexOf(u||void 0))||(I=i.length);(E=i[I-1])&&E.
nodeType==8;)I--;for(;I<i.length;I++)if(E=i[I])if(i[I]=null,B){if(E==Z)break}else{if(E.nodeType!=8)break;E.data.startsWith("$s")&&(Z=Po(B=E))}}if(!B){for(;u&&u.
nodeType==8&&u.nextSibling;)u=u.nextSibling;B=u}(m=Po(B=t.__c.__z||(t.__c.__z=B)))?(t.__e=B,u=m):t.__e=u,u=u&&u.nextSibling}else i&&i.some(Jn);else t.__e=n.__e;
t.__k||(t.__k=n.__k||[]),A&&A.then||Ci(t),ve.__e(A,t,n)}}else u=t.__e=kf(n.__e,t,n,r,o,i,l,f,d,e);return(m=ve.diffed)&&m(t),u}function Po(e,t){if(e&&e.nodeType==
8&&e.data.startsWith("$s"))for(var n=1;e=e.nextSibling;){if(e.nodeType==8){if(e.data.startsWith("$s"))n++;else if(e.data.startsWith("/$s")&&!--n)return e}t&&t.push(
e)}}function Ci(e){e&&(e.__c&&(e.__c.__g|=4),e.__k&&e.__k.some(Ci))}function Pi(e,t,n){for(var r=0;r<n.length;)Ns(n[r++],n[r++],n[r++]);ve.__c&&ve.__c(t,e),e.some(
function(o){try{e=o.__h,o.__h=[],e.some(function(i){i.call(o)})}catch(i){ve.__e(i,o.__v)}})}function kf(e,t,n,r,o,i,l,u,f,d){var m,g,_,w,x,M,$,C,v=n.props||Lo,k=t.
props,S=t.type;if(S=="svg"?o="http://www.w3.org/2000/svg":S=="math"?o="http://www.w3.org/1998/Math/MathML":o||(o="http://www.w3.org/1999/xhtml"),i){for(m=0;m<i.
length;m++)if((x=i[m])&&(S?x.localName==S:x.nodeType==3)){e=x,i[m]=null;break}}if(!e){if(C=d.ownerDocument||document,!S)return C.createTextNode(k);e=C.createElementNS(
o,S,k.is?k:d),u&&(ve.__m&&ve.__m(t,i),u=!1),i=null}if(S){if(d=S=="template"&&e.content||e,i=S=="textarea"&&k.defaultValue!=null?null:i&&ki.call(d.childNodes),!u&&
i)for(v={},m=0;m<e.attributes.length;m++)v[(x=e.attributes[m]).name]=x.value;for(m in v)x=v[m],m=="dangerouslySetInnerHTML"?_=x:m=="children"||m in k||m=="value"&&
"defaultValue"in k||m=="checked"&&"defaultChecked"in k||To(e,m,null,x,o);for(m in k)x=k[m],m=="children"?w=x:m=="dangerouslySetInnerHTML"?g=x:m=="value"?M=x:m==
"checked"?$=x:u&&typeof x!="function"||v[m]===x||To(e,m,x,v[m],o);g?(u||_&&(g.__html==_.__html||g.__html==e.innerHTML)||(e.innerHTML=g.__html),t.__k=[]):(_&&(e.
textContent=""),(S=="foreignObject"||o=="http://www.w3.org/1998/Math/MathML"&&_f.test(S))&&(o="http://www.w3.org/1999/xhtml"),Mi(d,Os(w)?w:[w],t,n,r,o,i,l,i?i[0]:
n.__k&&En(n,0),u,f),i&&i.some(Jn)),u&&S!="textarea"||(m="value",S=="progress"&&M==null?e.removeAttribute(m):M==null||M===e[m]&&(S!="progress"||M)||To(e,m,M,v[m],
o),m="checked",$!=null&&$!=e[m]&&To(e,m,$,v[m],o))}else v===k||u&&e.data==k||(e.data=k);return e}function Ns(e,t,n,r){try{typeof e=="function"?t?t.__x=e(t)||1:r&&
(r=r.__c||r.__e)&&(t=r.__x)&&(r.__x=null,typeof t=="function"?t():e(null)):e.current=t}catch(o){ve.__e(o,n)}}function Fs(e,t,n){var r,o,i,l;if(ve.unmount&&ve.unmount(
e),!(r=e.ref)||r.current&&r.current!=e.__e||Ns(r,null,t,e),r=e.__c){if(r.componentWillUnmount)try{r.componentWillUnmount()}catch(u){ve.__e(u,t)}r.__P=r.__n=null}
if(r=e.__k)for(l=0;l<r.length;l++)r[l]&&Fs(r[l],t,typeof e.type!="function"||n&&!e.props.__P);!n&&(r=e.__c)&&(r=r.__z)&&(o=Po(r,i=[]))&&(r==e.__e&&i.some(Jn),Jn(
o),Jn(r)),n||Jn(e.__e),e.__e=e.__c=e.__=null}function Sf(e,t,n){return this.constructor(e,n)}function Ei(e,t){var n,r,o,i;ve.__&&ve.__(e,t),t.nodeType==9&&(t=t.
documentElement),r=(n=e&&32&e.__u)?null:t.__k,t.__k=$o(z,{children:[e]}),o=[],i=[],Hs(t,t.__k,r||Lo,Lo,t.namespaceURI,r?null:t.firstChild?ki.call(t.childNodes):
null,o,r?r.__e:t.firstChild,n,i),Pi(o,t.__k,i),t.__k.props.children=null}ve={__e:function(e,t,n,r){for(var o,i,l;t=t.__;)if((o=t.__c)&&!(1&o.__g)){o.__g|=4;try{if((l=(i=o.constructor)&&i.getDerivedStateFromError)&&o.setState(i.getDerivedStateFromError(
e)),o.componentDidCatch&&(o.componentDidCatch(e,r||{}),l=1),l&&8&o.__g)return void(o.__g|=2)}catch(u){e=u}}throw Eo=0,e}},vi=0,gf=function(e){return e!=null&&e.
constructor===Xr},Co.prototype.setState=function(e,t){var n=this.__s;n&&n!=this.state||(n=this.__s=Qn({},this.state)),typeof e=="function"&&(e=e(Qn({},n),this.props)),
e&&(Qn(n,e),this.__v&&(t&&this.__k.push(t),_i(this)))},Co.prototype.forceUpdate=function(e){this.__v&&(this.__g|=4,e&&this.__h.push(e),_i(this))},Co.prototype.render=
z,Pn=[],Eo=0,yi=function(e,t){return e.__v.__b-t.__v.__b},Mo=Symbol(),xi=/(PointerCapture)$|Capture$/i,Ds=0,As={},wf=0;var Tr,Be,Is,Li,zs=Object.is,to=0,zi=[],Vs=[],qe=ve,Ri=qe.__b,Ai=qe.__r,Di=qe.diffed,Oi=qe.__c,Hi=qe.unmount,Ni=qe.__;function Ao(e,t){qe.__h&&qe.__h(Be,e,to||t),
to=0;var n=Be.__H||(Be.__H={__:[],__h:[]});return e>=n.__.length&&n.__.push({}),n.__[e]}function re(e){return to=1,Tf(ji,e)}function Tf(e,t,n){var r=Ao(Tr++,2);
if(r.t=e,!r.__c&&(r.__=[n?n(t):ji(void 0,t),function(i){var l=(r.__N||r.__)[0],u=r.t(l,i);zs(l,u)||(r.__N=[u,r.__[1]],r.__c.setState({}))}],r.__c=Be,!Be.__f)){Be.
__f=!0;var o=Be.shouldComponentUpdate;Be.shouldComponentUpdate=function(i,l,u){var f=this.__H;if(!f)return!0;var d=!1,m=this.props!=i;if(f.__.some(function(_){_.
__N&&(d=!0,zs(_.__[0],_.__N[0])||(m=!0))}),o){var g=o.call(this,i,l,u);return d?g||m:g}return!d||m}}return r.__}function we(e,t){var n=Ao(Tr++,3);!qe.__s&&Wi(n.
__H,t)&&(n.__P=!0,n.__=e,n.u=t,Be.__H.__h.push(n))}function _e(e){return to=5,Qt(function(){return{current:e}},[])}function Qt(e,t){var n=Ao(Tr++,7);return Wi(n.__H,t)&&(n.__=e(),n.__H=t),n.__}function Mr(e,t){return to=8,Qt(function(){return e},t)}function Vi(){var e=Ao(Tr++,11);if(!e.__){for(var t=Be.__v;!t.__m&&t.__;)t=t.__;var n=t.__m||(t.__m=[0,0]);e.__="P"+n[0]+"-"+n[1]++}return e.__}function Mf(){var e;
do{for(;e=Vs.shift();)try{eo(e)}catch(n){qe.__e(n,{__:(e=e.__P)&&e.__v})}for(;e=zi.shift();){var t=e.__H;if(e.__P&&t)try{t.__h.some(eo),t.__h.some(Ws),t.__h=[]}catch(n){
t.__h=[],qe.__e(n,e.__v)}}}while(Vs.length)}qe.__b=function(e){Be=null,Ri&&Ri(e)},qe.__=function(e,t){e&&t.__k&&t.__k.__m&&(e.__m=t.__k.__m),Ni&&Ni(e,t)},qe.__r=
function(e){Ai&&Ai(e),Tr=0;var t=(Be=e.__c).__H;t&&(Is==Be?Be.__h=[]:(t.__h.some(eo),t.__h.some(Ws),Tr=0),t.__h=[],t.__.some(function(n){n.__N&&(n.__=n.__N),n.u=
n.__N=void 0})),Is=Be},qe.diffed=function(e){Di&&Di(e);var t=e.__c;t&&t.__H&&(t.__H.__h.length&&Ii(zi.push(t)),t.__H.__.some(function(n){n.u&&(n.__H=n.u)})),Is=
Be=null},qe.__c=function(e,t){t.some(function(n){try{n.__h.some(eo),n.__h=n.__h.filter(function(r){return!r.__||Ws(r)})}catch(r){n.__h=[function(){throw r}]}}),
Oi&&Oi(e,t)},qe.unmount=function(e){Hi&&Hi(e);var t,n,r=e.__c;r&&r.__H&&(r.__H.__.some(function(o){try{if(o.__P&&o.__c){if(n===void 0){for(n=e.__;n&&(!n.__c||!n.
__c.__P);)n=n.__;n=n&&n.__c}o.__P=n,Ii(Vs.push(o))}else eo(o)}catch(i){t=i}}),r.__H=void 0,t&&qe.__e(t,r.__v))};var Fi=typeof requestAnimationFrame=="function";
function $f(e){var t,n=function(){clearTimeout(r),Fi&&cancelAnimationFrame(t),setTimeout(e)},r=setTimeout(n,35);Fi&&(t=requestAnimationFrame(n))}function Ii(e){
e!=1&&Li==qe.requestAnimationFrame||((Li=qe.requestAnimationFrame)||$f)(Mf)}function eo(e){var t=Be,n=e.__c;typeof n=="function"&&(e.__c=void 0,n()),Be=t}function Ws(e){
var t=Be;e.__c=e.__(),Be=t}function Wi(e,t){return!e||e.length!=t.length||t.some(function(n,r){return!zs(n,e[r])})}function ji(e,t){return typeof t=="function"?
t(e):t}var wn=class extends Error{constructor(n,r,o){super(n);this.fix=r;this.status=o}fix;status};function no(e,t={}){let n=new URLSearchParams;for(let[o,i]of Object.
entries(t))i!=null&&i!==""&&n.set(o,String(i));let r=n.toString();return r?`${e}?${r}`:e}async function Cf(e){try{let{error:t}=await e.json();return new wn(t.message,
t.fix??"",e.status)}catch{return new wn(`The viewer answered ${e.status}.`,"",e.status)}}async function _n(e,t={},n){let r;try{r=await fetch(no(e,t),{headers:{Accept:"\
application/json"},signal:n??null})}catch(o){throw o instanceof DOMException&&o.name==="AbortError"?o:new wn("The viewer does not answer.","Start it again: otel\
ml view",0)}if(!r.ok)throw await Cf(r);return await r.json()}var Pf=1e3,js=new Set,Ln={version:null,refused:null},Gi=!1;async function qi(){if(!document.hidden){let e=Ln;try{let t=await _n("/api/version");Ln=e.version&&!e.
refused&&e.version.arrivals===t.arrivals?e:{version:t,refused:null}}catch(t){t instanceof wn&&(Ln={version:e.version,refused:t})}if(Ln!==e)for(let t of js)t(Ln)}
window.setTimeout(qi,Pf)}function Ft(){let[e,t]=re(Ln);return we(()=>(js.add(t),t(Ln),Gi||(Gi=!0,qi()),()=>{js.delete(t)}),[]),e}function fn(){let{now_ns:e,first_ns:t,
last_ns:n}=Ln.version??{now_ns:Date.now()*1e6,first_ns:null,last_ns:null};return{now:e/1e6,first:t===null?null:t/1e6,latest:n===null?null:n/1e6}}function $r(){return fn().
now}var Ef=Symbol.for("pv"),Lf=0;function s(e,t,n,r,o,i){t||(t={});var l,u,f=t;if("ref"in f&&typeof e!="function")for(u in f={},t)u=="ref"?l=t[u]:f[u]=t[u];var d={type:e,props:f,key:n,ref:l,__k:null,
__:null,__b:0,__e:null,__c:null,constructor:Ef,__v:--Lf,__i:-1,__u:0};return(o||i)&&(d.__source=o,d.__self=i),ve.vnode&&ve.vnode(d),d}var Gs=new Set,Rf=["last","from","to"];function ct(){return{path:window.location.pathname,query:new URLSearchParams(window.location.search)}}function Bi(){for(let e of Gs)
e()}window.addEventListener("popstate",Bi);function Ve(){let[e,t]=re(ct);return we(()=>{let n=()=>t(ct());return Gs.add(n),()=>{Gs.delete(n)}},[]),e}function Ui(e,t){
let n=t.toString();return n?`${e}?${n}`:e}function ee(e,t={}){let n=new URLSearchParams,r=ct().query;for(let o of Rf){let i=r.get(o);i!==null&&n.set(o,i)}return Ki(
n,t),Ui(e,n)}function Ki(e,t){for(let[n,r]of Object.entries(t))r==null||r===""?e.delete(n):e.set(n,String(r))}function It(e,t=!1){t?window.history.replaceState(
null,"",e):window.history.pushState(null,"",e),Bi(),t||window.scrollTo(0,0)}function pe(e,t=!1){let{path:n,query:r}=ct();Ki(r,e);let o=window.scrollY;It(Ui(n,r),
t),window.scrollTo(0,o)}var Rn=encodeURIComponent;function ie({to:e,children:t,...n}){return s("a",{href:e,onClick:o=>{o.defaultPrevented||o.button||o.metaKey||
o.ctrlKey||o.shiftKey||o.altKey||(o.preventDefault(),It(e))},...n,children:t})}var Bs=[["5m","Last 5 minutes"],["15m","Last 15 minutes"],["1h","Last hour"],["6h","Last 6 hours"],["24h","Last 24 hours"],["7d","Last 7 days"]],Af={s:1e3,m:6e4,
h:36e5,d:864e5},qs="15m";function Df(e){let t=/^(\d+)([smhd])$/.exec(e);return t?Number(t[1])*(Af[t[2]??"m"]??6e4):9e5}function Yi(e){return e&&/^\d{10,19}$/.test(
e)?Number(e)/1e6:null}var[Of,Hf]=[1e4,6e4];function Zt(e,t){let{now:n,first:r,latest:o}=t,i=Yi(e.get("from")),l=Yi(e.get("to"));if(i!==null&&l!==null&&l>i)return{
live:!1,last:"",from:i,to:l};let u=e.get("last")??qs,f=/^\d+[smhd]$/.test(u)?u:qs,d=n-Df(f);return r===null||o===null?{live:!0,last:f,from:d,to:n}:o<d&&!e.get("\
last")?{live:!0,last:f,from:r-1e3,to:o+1e3}:{live:!0,last:f,from:Math.max(d,Math.min(r-Of,n-Hf)),to:n}}function An(e){return(BigInt(Math.round(e*1e3))*1000n).toString()}
function Do(e){pe({last:e===qs?null:e,from:null,to:null,cursor:null})}function mn(e,t){pe({last:null,from:An(e),to:An(t),cursor:null})}function Ji(e=ct().query){
return Zt(e,{now:0,first:null,latest:null}).live}var Nf=1e3,Us=class{constructor(t){this.ask=t}ask;stop=new AbortController;busy=!1;again=!1;next=0;timer=0;poke(){this.again=!0,!(this.busy||this.stop.signal.aborted)&&
(window.clearTimeout(this.timer),this.timer=window.setTimeout(()=>{this.run()},Math.max(0,this.next-performance.now())))}end(){window.clearTimeout(this.timer),this.
stop.abort()}async run(){let t=performance.now();[this.busy,this.again]=[!0,!1],await this.ask(this.stop.signal),this.busy=!1,this.next=performance.now()+Math.max(
Nf,3*(performance.now()-t)),this.again&&this.poke()}};function ro(){return Ft(),Zt(Ve().query,fn())}function Le(e,t={},n={}){let{query:r}=Ve(),o=Ft(),i=Zt(r,{now:0,
first:null,latest:null}),l=no(e,{...t,range:n.timeless?"":i.live?i.last:`${i.from}-${i.to}`}),u=n.still||!i.live&&!n.timeless?0:o.version?.arrivals??0,f=o.version!==
null&&!n.skip,[d,m]=re(null),g=_e(null);we(()=>{if(!f)return;let x=async M=>{let $=Zt(r,fn()),C=n.timeless?{}:{from:An($.from),to:An($.to)},v={...t,...C};try{let k=await _n(
e,v,M);m({key:l,data:k,refused:null,asked:v,range:$})}catch(k){if(!(k instanceof wn))return;m(S=>({key:l,data:S?.key===l?S.data:null,refused:k,asked:v,range:$}))}};
return g.current=new Us(x),g.current.poke(),()=>g.current?.end()},[l,f]),we(()=>g.current?.poke(),[u]);let _=d?.range??Zt(r,fn()),w=d!==null&&Ff(d.key,l);return{
data:w?d.data:null,refused:w?d.refused:null,range:_,csv:no(e,{...d?.asked,format:"csv"}),json:no(e,{...d?.asked})}}function Ff(e,t){return e.split("?")[0]===t.split(
"?")[0]}function wt(e,t=3){let n=Math.abs(e);if(n===0)return"0";let r=Math.max(0,Math.min(20,t-1-Math.floor(Math.log10(n))));return Zi(e.toLocaleString("en",{minimumFractionDigits:0,
maximumFractionDigits:r}))}function Zi(e){return e.replace("-","\u2212")}function zt(e){return t=>t==null||!Number.isFinite(t)?"\u2013":e(t)}var J=zt(e=>{let t=Math.
abs(e);return t===0?"0\u202Fs":t<1e-6?`${wt(e*1e9)}\u202Fns`:t<9995e-7?`${wt(e*1e6)}\u202F\xB5s`:t<.9995?`${wt(e*1e3)}\u202Fms`:t<120?`${wt(e)}\u202Fs`:t<7200?`${wt(
e/60)}\u202Fmin`:t<172800?`${wt(e/3600)}\u202Fh`:`${wt(e/86400)}\u202Fd`}),lt=zt(e=>{let t=Math.abs(e);return t>=1e9?`${wt(e/1e9)}\u202FG`:t>=1e6?`${wt(e/1e6)}\u202F\
M`:t>0&&t<1e-4?e.toExponential(2):Number.isInteger(e)?Zi(e.toLocaleString("en")):wt(e)}),oe=zt(e=>Math.round(e).toLocaleString("en")),Fe=zt(e=>`${wt(e*100,Math.
abs(e)<.1?2:3)}\u202F%`),Cr=zt(e=>`${wt(e)}\u202F/s`),Zn=zt(e=>{let t=["B","kB","MB","GB","TB"],[n,r]=[e,0];for(;Math.abs(n)>=1e3&&r<t.length-1;)[n,r]=[n/1e3,r+
1];return`${wt(n)}\u202F${t[r]}`});function bn(e,t=!1){let n=`${e}|${t}`,r=Qi.get(n)??If(e,t);return Qi.set(n,r),r}var Qi=new Map;function If(e,t){if(t)return e===
"By"?zt(r=>`${Zn(r)}/s`):e==="s"?zt(r=>`${J(r)}/s`):Cr;if(e==="s")return J;if(e==="ms")return zt(r=>J(r/1e3));if(e==="ns")return zt(r=>J(r/1e9));if(e==="By")return Zn;
if(e==="%")return zt(r=>`${wt(r)}\u202F%`);if(e==="share")return Fe;if(e==="1/s"||e==="/s")return Cr;let n=e.startsWith("{")||e==="1"||e===""?"":`\u202F${e}`;return zt(
r=>`${lt(r)}${n}`)}var Xi={hour:"2-digit",minute:"2-digit",second:"2-digit",hourCycle:"h23"},zf=new Intl.DateTimeFormat("en-GB",Xi),Vf=new Intl.DateTimeFormat("\
en-GB",{day:"numeric",month:"short",...Xi});function ke(e,t=!1){let n=zf.format(e);return t?`${n}.${String(Math.floor((e%1e3+1e3)%1e3)).padStart(3,"0")}`:n}function Mt(e,t=Date.
now()){return new Date(e).toDateString()===new Date(t).toDateString()?ke(e):Vf.format(e)}function ea(){return Intl.DateTimeFormat().resolvedOptions().timeZone}function Oo(e,t){
return t<6e4?ke(e):ke(e).slice(0,5)}function ta(e){let t=[[86400,"d"],[3600,"h"],[60,"min"]],[n,r]=t.find(([o])=>e>=1.95*o)??[1,"s"];return`${Math.round(e/n)}\u202F${r}`}
function Dn(e,t){let n=(t-e)/1e3;return n<10?"now":n<90?`${Math.round(n)}\u202Fs ago`:n<5400?`${Math.round(n/60)}\u202Fmin ago`:n<129600?`${Math.round(n/3600)}\u202F\
h ago`:`${Math.round(n/86400)}\u202Fd ago`}function oo(e){return e==null||!Number.isFinite(e)?"\u2013":`\xD7${wt(e)}`}function Vt(e){return typeof e=="string"?e:
e==null?"":typeof e=="object"?JSON.stringify(e):String(e)}function ae(e,t,n=`${t}s`){return`${oe(e)} ${e===1?t:n}`}var na="otelml-theme",ra=window.matchMedia("(prefers-color-scheme: dark)"),Ks=new Set,Ys=Wf();function Wf(){try{let e=window.localStorage.getItem(na);return e===
"dark"||e==="light"?e:null}catch{return null}}function Ho(){return Ys??(ra.matches?"dark":"light")}function Js(){document.documentElement.dataset.theme=Ho();for(let e of Ks)
e()}function No(){Ys=Ho()==="dark"?"light":"dark";try{window.localStorage.setItem(na,Ys)}catch{}Js()}ra.addEventListener("change",Js);Js();function Pr(){let[e,t]=re(
Ho);return we(()=>{let n=()=>t(Ho());return Ks.add(n),()=>{Ks.delete(n)}},[]),e}function de(e){return window.getComputedStyle(document.documentElement).getPropertyValue(
`--${e}`).trim()||"#888"}var oa={feature_retrieval:"stage-1",preprocessing:"stage-2",inference:"stage-3",postprocessing:"stage-4"};function sa(e,t){let n=document.createElement("a");n.href=URL.createObjectURL(t),n.download=e,n.click(),window.setTimeout(()=>URL.revokeObjectURL(n.href),1e4)}function jf(e){
if(e==null)return"";if(typeof e=="number")return String(e);let t=/^[=+\-@\t\r]/.test(e)?`'${e}`:e;return/[",\n\r]/.test(t)?`"${t.replaceAll('"','""')}"`:t}function Gf({
columns:e,rows:t}){return[e,...t].map(n=>n.map(jf).join(",")).join(`\r
`)+`\r
`}function qf({columns:e,rows:t}){let n=t.map(r=>Object.fromEntries(e.map((o,i)=>[o,r[i]??null])));return JSON.stringify(n,null,1)}function Fo(e,t){return`${e.toLowerCase().
replace(/[^a-z0-9]+/g,"-").replace(/^-|-$/g,"")||"otelml"}.${t}`}function Bf(e,t){let n=[...t.querySelectorAll("canvas")].filter(m=>m.width>0),r=window.devicePixelRatio||
1,[o,i]=[12*r,(t.querySelector(".legend")?52:34)*r],l=n.length>1?20*r:0,u=document.createElement("canvas");u.width=Math.max(...n.map(m=>m.width),1)+2*o,u.height=
n.reduce((m,g)=>m+g.height+l,i)+o;let f=u.getContext("2d");if(!f||!n.length)return Promise.resolve(null);f.fillStyle=de("panel"),f.fillRect(0,0,u.width,u.height),
f.fillStyle=de("text"),f.font=`600 ${14*r}px system-ui, sans-serif`,f.fillText(e,o,22*r),f.font=`${11*r}px system-ui, sans-serif`,Kf(f,t,o,42*r,r);let d=i;for(let m of n)
f.fillStyle=de("muted"),l&&f.fillText(Uf(m),o,d+13*r),f.drawImage(m,o,d+l),d+=m.height+l;return new Promise(m=>u.toBlob(m,"image/png"))}function Uf(e){return e.
closest("[aria-label]")?.getAttribute("aria-label")??""}function Kf(e,t,n,r,o){let i=n;for(let l of t.querySelector(".legend")?.querySelectorAll(".swatch")??[]){
let u=l.parentElement?.firstChild?.nextSibling?.textContent??"";e.fillStyle=window.getComputedStyle(l).getPropertyValue("--tone").trim()||de("muted"),e.fillRect(
i,r-8*o,9*o,9*o),e.fillStyle=de("muted"),e.fillText(u,i+14*o,r),i+=e.measureText(u).width+30*o}}function On({title:e,grid:t,chart:n,links:r,table:o}){let i=_e(null),
l=()=>{i.current&&(i.current.open=!1)};we(()=>{let d=g=>{i.current?.open&&!i.current.contains(g.target)&&l()},m=g=>{g.key==="Escape"&&i.current?.open&&(l(),i.current.
querySelector("summary")?.focus())};return document.addEventListener("click",d),document.addEventListener("keydown",m),()=>{document.removeEventListener("click",
d),document.removeEventListener("keydown",m)}},[]);let u=async()=>{let d=n?.(),m=d&&await Bf(e,d);m&&sa(Fo(e,"png"),m),l()},f=d=>{if(!t)return;let m=d==="csv"?Gf(
t()):qf(t());sa(Fo(e,d),new Blob([m],{type:d==="csv"?"text/csv":"application/json"})),l()};return s("details",{class:"menu",ref:i,children:[s("summary",{"aria-l\
abel":`Table and export of ${e}`,title:"Table, export",children:s("span",{"aria-hidden":"true",children:"\u22EF"})}),s("div",{children:[o&&s("button",{type:"but\
ton","aria-pressed":o.shown,onClick:()=>(o.toggle(),l()),children:o.shown?"As a chart":"As a table"}),t&&s("button",{type:"button",onClick:()=>f("csv"),children:"\
CSV"}),t&&s("button",{type:"button",onClick:()=>f("json"),children:"JSON"}),r&&s("a",{href:r.csv,download:Fo(e,"csv"),onClick:l,children:"CSV"}),r&&s("a",{href:r.
json,download:Fo(e,"json"),onClick:l,children:"JSON"}),n&&s("button",{type:"button",onClick:()=>{u()},children:"PNG"})]})]})}function Yf(e,t){let[n,r]=[e==null,t==null];return n||r?Number(n)-Number(r):typeof e=="number"&&typeof t=="number"?e-t:String(e).localeCompare(String(t))}function Se({
caption:e,columns:t,rows:n,id:r,sorted:o,tone:i}){let[l,u]=re(o),f=l?t[l[0]]?.value:void 0,d=f&&l?[...n].sort((g,_)=>Yf(f(g),f(_))*(l[1]==="up"?1:-1)):n,m=(g,_)=>{
let w=_?"down":"up",x=_?"up":"down";u(M=>[g,M?.[0]===g&&M[1]===w?x:w])};return s("div",{class:"scroll",tabIndex:0,role:"group","aria-label":e,children:s("table",
{children:[s("caption",{class:"hidden",children:e}),s("thead",{children:s("tr",{children:t.map((g,_)=>{let w=l?.[0]===_?l[1]:void 0;return s("th",{scope:"col",class:la(
g),"aria-sort":w?w==="up"?"ascending":"descending":void 0,children:g.value?s("button",{type:"button",onClick:()=>m(_,g.numeric),children:[s("span",{children:g.name}),
s("span",{"aria-hidden":"true",class:"arrow",children:w?w==="up"?"\u2191":"\u2193":""})]}):g.name},g.name)})})}),s("tbody",{children:d.map((g,_)=>s("tr",{class:i?.(
g),children:t.map(w=>s("td",{class:la(w),children:w.show(g)},w.name))},r(g,_)))})]})})}function la(e){let t=[e.numeric&&"num",e.wide&&"wide",e.narrow&&"narrow"].
filter(Boolean);return t.length?t.join(" "):void 0}function Er({of:e,onPick:t}){let n=Object.entries(e).sort(([r],[o])=>r.localeCompare(o));return n.length?s("d\
l",{class:"attributes",children:n.map(([r,o])=>s("div",{children:[s("dt",{children:r}),s("dd",{children:t?s("button",{type:"button",class:"plain",onClick:()=>t(
r,o),title:`Search ${r}`,children:Vt(o)||'""'}):Vt(o)||'""'})]},r))}):null}function ft({title:e,note:t,grid:n,wide:r,children:o,picture:i=!0}){let[l,u]=re(!1),f=_e(null);return s("figure",{class:r?"panel span":"panel",ref:f,children:[s(
"figcaption",{children:[s("h2",{children:e}),t&&s("span",{class:"muted note",children:t}),s(On,{title:e,...n?{grid:n,table:{shown:l,toggle:()=>u(!l)}}:{},...i&&
!l?{chart:()=>f.current}:{}})]}),l&&n?s(Zs,{caption:e,grid:n()}):o]})}var Qs=500;function Zs({caption:e,grid:t}){let n=t.columns.map((r,o)=>({name:r,numeric:t.rows.
some(i=>typeof i[o]=="number"),show:i=>i[o]??"\u2013",value:i=>i[o]}));return s("div",{class:"as-table",children:[s(Se,{caption:e,columns:n,rows:t.rows.slice(0,
Qs),id:(r,o)=>String(o)}),t.rows.length>Qs&&s("p",{class:"muted",children:["The first ",Qs," of ",t.rows.length," rows; CSV has all of them."]})]})}function $t({
title:e,note:t,wide:n,aside:r,children:o}){return s("section",{class:n?"panel span":"panel",children:[s("div",{class:"caption",children:[s("h2",{children:e}),t&&
s("span",{class:"muted note",children:t}),r]}),o]})}function We({title:e,answer:t,exports:n,children:r}){return s("div",{class:"head",children:[s("div",{class:"title",children:[s("h1",{children:e}),r,n&&s(On,{title:n.
title,links:n})]}),t&&s("p",{class:"answer",children:t})]})}function je({answer:e,empty:t,signal:n,clear:r,children:o}){let{version:i}=Ft(),{data:l,refused:u}=e;
if(u&&i?.empty)return s(aa,{});if(u&&!l)return s("div",{class:"teach",role:"alert",children:[s("h2",{children:u.message}),s("p",{children:u.fix})]});if(!l)return s(
Jf,{});if(!t(l))return s(z,{children:[o(l),s(ia,{of:l})]});let f=i&&!i.empty&&i.last_ns!==null;return r||f?s(z,{children:[r?s(Qf,{signal:n,clear:r}):s(Zf,{signal:n}),
s(ia,{of:l})]}):s(aa,{})}function ia({of:e}){let t=e.notes??[];return t.length?s("ul",{class:"under muted","aria-label":"Notes",children:t.map(n=>s("li",{children:n},
n))}):null}function Jf(){return s("div",{class:"waiting","aria-busy":"true",children:s("span",{class:"hidden",children:"Loading"})})}function Qf({signal:e,clear:t}){
return s("div",{class:"teach",children:[s("h2",{children:["No ",e," in this time range"]}),s("button",{type:"button",class:"button",onClick:t,children:"Clear th\
e search"})]})}function Zf({signal:e}){let{version:t}=Ft(),n=ro(),r=(t?.last_ns??0)/1e6,o=(t?.now_ns??0)/1e6;return s("div",{class:"teach",children:[s("h2",{children:[
"No ",e," in this time range"]}),t?.remote&&s("p",{children:"It was looked for where otelml view was told to read. Another range may have some."}),r<n.from&&s("\
p",{children:["The latest telemetry is of ",Mt(r)," (",Dn(r,o),")."," ",s("button",{type:"button",class:"button",onClick:()=>mn(r-9e5,r+1e3),children:"Show the \
15 minutes before it"})]}),!t?.remote&&r>=n.from&&s("p",{children:"Other telemetry is there. Three lines send all of it:"}),!t?.remote&&s(ua,{})]})}function aa(){
return s("div",{class:"teach",children:[s("h2",{children:"Nothing has arrived yet"}),s("p",{children:"This page fills by itself. Three lines send some:"}),s(ua,
{})]})}function ua(){let{version:e}=Ft(),t=e?.otlp.http??"http://localhost:4318";return s(z,{children:[s("pre",{tabIndex:0,children:s("code",{children:["pip ins\
tall otelml",`
`,"export OTEL_EXPORTER_OTLP_ENDPOINT=",t,`
`,"otelml run --service-name my-model -- python app.py"]})}),s("p",{class:"muted",children:["Any OpenTelemetry SDK, in any language, can send to ",t," (HTTP)",e?.
otlp.grpc?` or ${e.otlp.grpc} (gRPC)`:"",". With nothing at hand: ",s("code",{children:"otelml demo"})]})]})}var Xf={good:["\u25CF","good"],fair:["\u25B2","fair"],
bad:["\u25A0","bad"],quiet:["\u25CB","muted"]};function He({of:e,children:t}){let[n,r]=Xf[e]??["\u25CB","muted"];return s("span",{class:`sign ${r}`,children:[s(
"span",{"aria-hidden":"true",children:n})," ",t]})}function Ct({values:e,tone:t="now",width:n=96,height:r=20,fill:o=!0}){let i=e.filter(m=>m!=null&&Number.isFinite(m)),l=Math.max(...i,0);if(!i.length||e.length<2)
return s("svg",{class:"spark",width:n,height:r,"aria-hidden":"true"});let u=(m,g)=>{let _=l?r-2-m/l*(r-4):r-2;return`${(g/(e.length-1)*(n-2)+1).toFixed(1)},${_.
toFixed(1)}`},f=[[]];e.forEach((m,g)=>{m==null||!Number.isFinite(m)?f.push([]):f.at(-1)?.push(u(m,g))});let d=f.filter(m=>m.length);return s("svg",{class:`spark\
 tone-${t}`,width:n,height:r,viewBox:`0 0 ${n} ${r}`,"aria-hidden":"true",children:d.map((m,g)=>{let[_="0,0",w="0,0"]=[m[0],m.at(-1)],x=`${_.split(",")[0]},${r-
1} ${m.join(" ")} ${w.split(",")[0]},${r-1}`;return s("g",{children:[o&&s("polygon",{points:x}),m.length>1?s("polyline",{points:m.join(" ")}):s("circle",{cx:_.split(
",")[0],cy:_.split(",")[1],r:"1.5"})]},g)})})}function Hn({of:e,tone:t="now"}){return s("svg",{class:`share tone-${t}`,width:"100%",height:"8","aria-hidden":"tr\
ue",children:[s("rect",{class:"ground",width:"100%",height:"8",rx:"1"}),s("rect",{class:"fill",width:`${Math.max(0,Math.min(1,e??0))*100}%`,height:"8",rx:"1"})]})}function Nn(e,t){return`/model/${Rn(e)}/${Rn(t)}`}function em(e,t){let n=e.reduce((f,d)=>f+d.requests,0),r=e.reduce((f,d)=>f+d.errors,0),o=e.filter(f=>f.p95_s!==
null).sort((f,d)=>(d.p95_s??0)-(f.p95_s??0))[0],i=new Set(e.map(f=>f.model)).size,l=e.length>i?` in ${ae(e.length,"version")}`:"",u=o?` The slowest, ${o.model}${o.
version?` ${o.version}`:""}, answers 95 % within ${J(o.p95_s)}.`:"";return`${ae(i,"model")}${l} answered ${ae(n,"request")} ${t}; ${n?Fe(r/n):"\u2013"} failed.${u}`}
function vn(e){let{live:t,from:n,to:r}=e.range;return`${t?"in the last":"in these"} ${ta((r-n)/1e3)}`}var tm=[{name:"Model",wide:!0,value:e=>`${e.model} ${e.version}`,
show:e=>s(z,{children:[s(ie,{to:ee(Nn(e.model,e.version)),"data-row":!0,class:"name",children:[e.model||"(no name)"," ",s("span",{class:"version",children:e.version})]}),
" ",s("span",{class:"muted sub",children:e.service.join(", ")})]})},{name:"Requests",numeric:!0,value:e=>e.requests,show:e=>oe(e.requests)},{name:"Traffic",narrow:!0,
show:e=>s(Ct,{values:e.spark?.requests??[]})},{name:"Errors",numeric:!0,value:e=>e.error_share,show:e=>e.errors?s(He,{of:(e.error_share??0)>=.01?"bad":"fair",children:Fe(
e.error_share)}):s("span",{class:"muted",children:e.error_share===null?"\u2013":"0"})},{name:"p50",numeric:!0,narrow:!0,value:e=>e.p50_s,show:e=>J(e.p50_s)},{name:"\
p95",numeric:!0,value:e=>e.p95_s,show:e=>J(e.p95_s)},{name:"p99",numeric:!0,narrow:!0,value:e=>e.p99_s,show:e=>J(e.p99_s)},{name:"p95 over time",narrow:!0,show:e=>s(
Ct,{values:e.spark?.p95_s??[],fill:!1})},{name:"Rows",numeric:!0,narrow:!0,value:e=>e.rows,show:e=>oe(e.rows)},{name:"Confidence",numeric:!0,narrow:!0,value:e=>e.
confidence_mean,show:e=>lt(e.confidence_mean===null?null:Math.round(e.confidence_mean*1e3)/1e3)},{name:"Last",numeric:!0,narrow:!0,value:e=>e.last_ns,show:e=>e.
last_ns===null?"\u2013":Dn(e.last_ns/1e6,$r())}];function ca(){let e=Le("/api/models"),t=e.data?.models??[];return s(z,{children:[s(We,{title:"Models",answer:t.
length?em(t,vn(e)):void 0,exports:{title:"Models",csv:e.csv,json:e.json}}),s(je,{answer:e,empty:n=>!n.models.length,signal:"predictions",children:n=>s("section",
{class:"panel flush","aria-label":"Models and versions",children:[s(Se,{caption:"Models and versions",columns:tm,rows:n.models,id:r=>`${r.model}
${r.version}`,sorted:[1,"down"]}),s(nm,{models:n.models})]})})]})}function nm({models:e}){let n=[...Map.groupBy(e,r=>r.model)].filter(([,r])=>r.length>1);return n.
length?s("p",{class:"under",children:["Compare versions:"," ",n.map(([r,o])=>s(ie,{to:ee(`/compare/${Rn(r)}`,{a:o[1]?.version,b:o[0]?.version}),children:r},r))]}):
null}var rm=.01;function ma({model:e}){let{query:t}=Ve(),r=Le("/api/model",{model:e},{still:!0}).data?.versions??[],o=t.get("a")??r[1]??r[0]??"",i=t.get("b")??r[0]??
"",l=Le("/api/compare",{model:e,a:o,b:i},{skip:!o&&!i});return s(z,{children:[s(We,{title:`Versions of ${e}`,answer:l.data?.rows.length?om(l.data,o,i):void 0,exports:{
title:`Versions of ${e}`,csv:l.csv,json:l.json},children:s("span",{class:"actions",children:[s(fa,{name:"a",value:o,versions:r}),s("span",{class:"muted",children:"\
against"}),s(fa,{name:"b",value:i,versions:r})]})}),s(je,{answer:l,empty:u=>!u.rows.length,signal:`predictions of both versions of ${e}`,children:u=>s(sm,{data:u,
model:e,a:o,b:i})})]})}function fa({name:e,value:t,versions:n}){let r=n.includes(t)||!t?n:[t,...n];return s("select",{"aria-label":`Version ${e}`,value:t,onChange:o=>pe(
{[e]:o.target.value}),children:r.map(o=>s("option",{value:o,children:o},o))})}function om(e,t,n){let r=e.rows.filter(l=>l.p_value===void 0||l.p_value===null||l.
p_value<rm),o=l=>r.filter(u=>u.better===l).map(u=>u.what),i=[["a",t],["b",n]].map(([l,u])=>[u,o(l)]).filter(([,l])=>l.length);return i.length?`${i.map(([l,u])=>`${l}\
 is better in ${u.length>3?ae(u.length,"way"):u.join(", ")}`).join("; ")}.`:`No difference between ${t} and ${n} that is more than chance.`}function sm({data:e,
model:t,a:n,b:r}){let o=(l,u)=>u.better===l?s(He,{of:"good",children:bn(u.unit)(u[l])}):bn(u.unit)(u[l]),i=l=>l||"(no version)";return s($t,{title:`${i(n)} and ${i(
r)}`,note:"\u25CF is the better one",aside:s("span",{class:"more",children:[s(ie,{to:ee(Nn(t,n)),children:i(n)})," ",s(ie,{to:ee(Nn(t,r)),children:i(r)})]}),children:s(
Se,{caption:`Versions ${n} and ${r} of ${t}`,rows:e.rows,id:l=>l.what,columns:[{name:"What",wide:!0,value:l=>l.what,show:l=>l.what},{name:`${i(n)} (a)`,numeric:!0,
value:l=>l.a,show:l=>o("a",l)},{name:`${i(r)} (b)`,numeric:!0,value:l=>l.b,show:l=>o("b",l)},{name:"b / a",numeric:!0,value:l=>l.ratio,show:l=>oo(l.ratio)},{name:"\
p",numeric:!0,narrow:!0,value:l=>l.p_value,show:l=>lm(l.p_value)}]})})}function lm(e){return e==null?s("span",{class:"muted",children:"\u2013"}):e<.001?"< 0.001":
e.toFixed(3)}function pa(){let{query:e}=Ve(),[t,n]=[e.get("a")??"",e.get("b")??""],r=Le("/api/compare-traces",{a:t,b:n},{timeless:!0,skip:!t||!n}),o=i=>l=>pe({[i]:l.target.value.
trim()});return s(z,{children:[s(We,{title:"Two traces",answer:r.data?.rows.length?im(r.data):void 0,...t&&n?{exports:{title:"Two traces",csv:r.csv,json:r.json}}:
{}}),s("div",{class:"filters",children:[s("input",{type:"text",class:"mono id","aria-label":"First trace",value:t,placeholder:"id of the first trace",onChange:o(
"a")}),s("input",{type:"text",class:"mono id","aria-label":"Second trace",value:n,placeholder:"id of the second trace",onChange:o("b")}),t&&s(ie,{class:"button",
to:ee(`/trace/${t}`),children:"Open a"}),n&&s(ie,{class:"button",to:ee(`/trace/${n}`),children:"Open b"})]}),t&&n?s(je,{answer:r,empty:i=>!i.rows.length,signal:"\
such traces",children:i=>s(am,{data:i})}):s("p",{class:"answer",children:["Pick two in the ",s(ie,{to:ee("/traces"),children:"list of traces"}),", or write thei\
r ids here."]})]})}function Io(e){return(e.b_s??0)-(e.a_s??0)}function im(e){let[t]=e.rows,n=e.rows.slice(1).sort((o,i)=>Math.abs(Io(i))-Math.abs(Io(o)))[0],r=t&&
t.a_s!==null&&t.b_s!==null?`b took ${J(t.b_s)}, a ${J(t.a_s)} (${oo(t.ratio)})`:"They share no first span";return n?`${r}; the largest difference is in ${n.path.
split(/ [›>\/] /).at(-1)}: ${Io(n)>0?"+":"\u2212"}${J(Math.abs(Io(n)))}.`:`${r}.`}function am({data:e}){let t=Math.max(...e.rows.flatMap(r=>[r.a_s??0,r.b_s??0]),
1e-9),n=(r,o)=>s("span",{class:"pair",children:s(Hn,{of:(r??0)/t,tone:o})});return s("section",{class:"panel flush","aria-label":"Spans of both traces",children:s(
Se,{caption:"Spans of both traces",rows:e.rows,id:r=>r.path,columns:[{name:"Span",wide:!0,value:r=>r.path,show:r=>r.path},{name:"a",numeric:!0,value:r=>r.a_s,show:r=>J(
r.a_s)},{name:"b",numeric:!0,value:r=>r.b_s,show:r=>J(r.b_s)},{name:"grey a, blue b",narrow:!0,show:r=>s(z,{children:[n(r.a_s,"ref"),n(r.b_s,"now")]})},{name:"b\
 / a",numeric:!0,value:r=>r.ratio,show:r=>oo(r.ratio)}]})})}var um="uplot",cm="u-hz",fm="u-vt",mm="u-title",pm="u-wrap",dm="u-under",hm="u-over",gm="u-axis",tr="u-off",wm="u-select",_m="u-cursor-x",bm="u-cursor-y",vm="u-\
cursor-pt",ym="u-legend",xm="u-live",km="u-inline",Sm="u-series",Tm="u-marker",da="u-label",Mm="u-value",lo="width",io="height";var ha="bottom",Lr="left",Xs="right",gl="#000",ga=gl+"0",el="mousemove",wa="mousedown",tl="mouseup",_a="mouseenter",ba="mouseleave",va="dblclick",$m="resize",Cm="\
scroll",ya="change",Go="dppxchange",wl="--",Fr=typeof window<"u",ll=Fr?document:null,Ar=Fr?window:null,Pm=Fr?navigator:null,he,zo;function il(){let e=devicePixelRatio;
he!=e&&(he=e,zo&&ul(ya,zo,il),zo=matchMedia(`(min-resolution: ${he-.001}dppx) and (max-resolution: ${he+.001}dppx)`),nr(ya,zo,il),Ar.dispatchEvent(new CustomEvent(
Go)))}function Pt(e,t){if(t!=null){let n=e.classList;!n.contains(t)&&n.add(t)}}function al(e,t){let n=e.classList;n.contains(t)&&n.remove(t)}function Re(e,t,n){
e.style[t]=n+"px"}function Xt(e,t,n,r){let o=ll.createElement(e);return t!=null&&Pt(o,t),n?.insertBefore(o,r),o}function jt(e,t){return Xt("div",e,t)}var xa=new WeakMap;
function pn(e,t,n,r,o){let i="translate("+t+"px,"+n+"px)",l=xa.get(e);i!=l&&(e.style.transform=i,xa.set(e,i),t<0||n<0||t>r||n>o?Pt(e,tr):al(e,tr))}var ka=new WeakMap;
function Sa(e,t,n){let r=t+n,o=ka.get(e);r!=o&&(ka.set(e,r),e.style.background=t,e.style.borderColor=n)}var Ta=new WeakMap;function Ma(e,t,n,r){let o=t+""+n,i=Ta.
get(e);o!=i&&(Ta.set(e,o),e.style.height=n+"px",e.style.width=t+"px",e.style.marginLeft=r?-t/2+"px":0,e.style.marginTop=r?-n/2+"px":0)}var _l={passive:!0},Em={..._l,
capture:!0};function nr(e,t,n,r){t.addEventListener(e,n,r?Em:_l)}function ul(e,t,n,r){t.removeEventListener(e,n,_l)}Fr&&il();function en(e,t,n,r){let o;n=n||0,r=
r||t.length-1;let i=r<=2147483647;for(;r-n>1;)o=i?n+r>>1:Et((n+r)/2),t[o]<e?n=o:r=o;return e-t[n]<=t[r]-e?n:r}function eu(e){return(n,r,o)=>{let i=-1,l=-1;for(let u=r;u<=
o;u++)if(e(n[u])){i=u;break}for(let u=o;u>=r;u--)if(e(n[u])){l=u;break}return[i,l]}}var tu=e=>e!=null,nu=e=>e!=null&&e>0,Uo=eu(tu),Lm=eu(nu);function Rm(e,t,n,r=0,o=!1){
let i=o?Lm:Uo,l=o?nu:tu;[t,n]=i(e,t,n);let u=e[t],f=e[t];if(t>-1)if(r==1)u=e[t],f=e[n];else if(r==-1)u=e[n],f=e[t];else for(let d=t;d<=n;d++){let m=e[d];l(m)&&(m<
u?u=m:m>f&&(f=m))}return[u??Te,f??-Te]}function Ko(e,t,n,r){let o=Pa(e),i=Pa(t);e==t&&(o==-1?(e*=n,t/=n):(e/=n,t*=n));let l=n==10?yn:ru,u=o==1?Et:Gt,f=i==1?Gt:Et,
d=u(l(Qe(e))),m=f(l(Qe(t))),g=Dr(n,d),_=Dr(n,m);return n==10&&(d<0&&(g=Me(g,-d)),m<0&&(_=Me(_,-m))),r||n==2?(e=g*o,t=_*i):(e=iu(e,g),t=Yo(t,_)),[e,t]}function bl(e,t,n,r){
let o=Ko(e,t,n,r);return e==0&&(o[0]=0),t==0&&(o[1]=0),o}var vl=.1,$a={mode:3,pad:vl},uo={pad:0,soft:null,mode:0},Am={min:uo,max:uo};function qo(e,t,n,r){return Jo(
n)?Ca(e,t,n):(uo.pad=n,uo.soft=r?0:null,uo.mode=r?3:0,Ca(e,t,Am))}function fe(e,t){return e??t}function Dm(e,t,n){for(t=fe(t,0),n=fe(n,e.length-1);t<=n;){if(e[t]!=
null)return!0;t++}return!1}function Ca(e,t,n){let r=n.min,o=n.max,i=fe(r.pad,0),l=fe(o.pad,0),u=fe(r.hard,-Te),f=fe(o.hard,Te),d=fe(r.soft,Te),m=fe(o.soft,-Te),
g=fe(r.mode,0),_=fe(o.mode,0),w=t-e,x=yn(w),M=_t(Qe(e),Qe(t)),$=yn(M),C=Qe($-x);(w<1e-24||C>10)&&(w=0,(e==0||t==0)&&(w=1e-24,g==2&&d!=Te&&(i=0),_==2&&m!=-Te&&(l=
0)));let v=w||M||1e3,k=yn(v),S=Dr(10,Et(k)),V=v*(w==0?e==0?.1:1:i),L=Me(iu(e-V,S/10),24),K=e>=d&&(g==1||g==3&&L<=d||g==2&&L>=d)?d:Te,B=_t(u,L<K&&e>=K?K:tn(K,L)),
Z=v*(w==0?t==0?.1:1:l),I=Me(Yo(t+Z,S/10),24),E=t<=m&&(_==1||_==3&&I>=m||_==2&&I<=m)?m:-Te,F=tn(f,I>E&&t<=E?E:_t(E,I));return B==F&&B==0&&(F=100),[B,F]}var Om=new Intl.
NumberFormat(Fr?Pm.language:"en-US"),yl=e=>Om.format(e),Lt=Math,jo=Lt.PI,Qe=Lt.abs,Et=Lt.floor,Je=Lt.round,Gt=Lt.ceil,tn=Lt.min,_t=Lt.max,Dr=Lt.pow,Pa=Lt.sign,yn=Lt.
log10,ru=Lt.log2,Hm=(e,t=1)=>Lt.sinh(e)*t,nl=(e,t=1)=>Lt.asinh(e/t),Te=1/0;function Ea(e){return(yn((e^e>>31)-(e>>31))|0)+1}function cl(e,t,n){return tn(_t(e,t),
n)}function ou(e){return typeof e=="function"}function le(e){return ou(e)?e:()=>e}var Nm=()=>{},su=e=>e,lu=(e,t)=>t,Fm=e=>null,La=e=>!0,Ra=(e,t)=>e==t,Im=/\.\d*?(?=9{6,}|0{6,})/gm,
rr=e=>{if(uu(e)||In.has(e))return e;let t=`${e}`,n=t.match(Im);if(n==null)return e;let r=n[0].length-1;if(t.indexOf("e-")!=-1){let[o,i]=t.split("e");return+`${rr(
o)}e${i}`}return Me(e,r)};function Xn(e,t){return rr(Me(rr(e/t))*t)}function Yo(e,t){return rr(Gt(rr(e/t))*t)}function iu(e,t){return rr(Et(rr(e/t))*t)}function Me(e,t=0){
if(uu(e))return e;let n=10**t,r=e*n*(1+Number.EPSILON);return Je(r)/n}var In=new Map;function au(e){return((""+e).split(".")[1]||"").length}function fo(e,t,n,r){
let o=[],i=r.map(au);for(let l=t;l<n;l++){let u=Qe(l),f=Me(Dr(e,l),u);for(let d=0;d<r.length;d++){let m=e==10?+`${r[d]}e${l}`:r[d]*f,g=(l>=0?0:u)+(l>=i[d]?0:i[d]),
_=e==10?m:Me(m,g);o.push(_),In.set(_,g)}}return o}var co={},xl=[],Or=[null,null],Fn=Array.isArray,uu=Number.isInteger,zm=e=>e===void 0;function Aa(e){return typeof e==
"string"}function Jo(e){let t=!1;if(e!=null){let n=e.constructor;t=n==null||n==Object}return t}function Vm(e){return e!=null&&typeof e=="object"}var Wm=Object.getPrototypeOf(
Uint8Array),cu="__proto__";function Hr(e,t=Jo){let n;if(Fn(e)){let r=e.find(o=>o!=null);if(Fn(r)||t(r)){n=Array(e.length);for(let o=0;o<e.length;o++)n[o]=Hr(e[o],
t)}else n=e.slice()}else if(e instanceof Wm)n=e.slice();else if(t(e)){n={};for(let r in e)r!=cu&&(n[r]=Hr(e[r],t))}else n=e;return n}function Ue(e){let t=arguments;
for(let n=1;n<t.length;n++){let r=t[n];for(let o in r)o!=cu&&(Jo(e[o])?Ue(e[o],Hr(r[o])):e[o]=Hr(r[o]))}return e}var jm=0,Gm=1,qm=2;function Bm(e,t,n){for(let r=0,
o,i=-1;r<t.length;r++){let l=t[r];if(l>i){for(o=l-1;o>=0&&e[o]==null;)e[o--]=null;for(o=l+1;o<n&&e[o]==null;)e[i=o++]=null}}}function Um(e,t){if(Jm(e)){let l=e[0].
slice();for(let u=1;u<e.length;u++)l.push(...e[u].slice(1));return Qm(l[0])||(l=Ym(l)),l}let n=new Set;for(let l=0;l<e.length;l++){let f=e[l][0],d=f.length;for(let m=0;m<
d;m++)n.add(f[m])}let r=[Array.from(n).sort((l,u)=>l-u)],o=r[0].length,i=new Map;for(let l=0;l<o;l++)i.set(r[0][l],l);for(let l=0;l<e.length;l++){let u=e[l],f=u[0];
for(let d=1;d<u.length;d++){let m=u[d],g=Array(o).fill(void 0),_=t?t[l][d]:Gm,w=[];for(let x=0;x<m.length;x++){let M=m[x],$=i.get(f[x]);M===null?_!=jm&&(g[$]=M,
_==qm&&w.push($)):g[$]=M}Bm(g,w,o),r.push(g)}}return r}var Km=typeof queueMicrotask>"u"?e=>Promise.resolve().then(e):queueMicrotask;function Ym(e){let t=e[0],n=t.
length,r=Array(n);for(let i=0;i<r.length;i++)r[i]=i;r.sort((i,l)=>t[i]-t[l]);let o=[];for(let i=0;i<e.length;i++){let l=e[i],u=Array(n);for(let f=0;f<n;f++)u[f]=
l[r[f]];o.push(u)}return o}function Jm(e){let t=e[0][0],n=t.length;for(let r=1;r<e.length;r++){let o=e[r][0];if(o.length!=n)return!1;if(o!=t){for(let i=0;i<n;i++)
if(o[i]!=t[i])return!1}}return!0}function Qm(e,t=100){let n=e.length;if(n<=1)return!0;let r=0,o=n-1;for(;r<=o&&e[r]==null;)r++;for(;o>=r&&e[o]==null;)o--;if(o<=
r)return!0;let i=_t(1,Et((o-r+1)/t));for(let l=e[r],u=r+i;u<=o;u+=i){let f=e[u];if(f!=null){if(f<=l)return!1;l=f}}return!0}var fu=["January","February","March",
"April","May","June","July","August","September","October","November","December"],mu=["Sunday","Monday","Tuesday","Wednesday","Thursday","Friday","Saturday"];function pu(e){
return e.slice(0,3)}var Zm=mu.map(pu),Xm=fu.map(pu),ep={MMMM:fu,MMM:Xm,WWWW:mu,WWW:Zm};function so(e){return(e<10?"0":"")+e}function tp(e){return(e<10?"00":e<100?
"0":"")+e}var np={YYYY:e=>e.getFullYear(),YY:e=>(e.getFullYear()+"").slice(2),MMMM:(e,t)=>t.MMMM[e.getMonth()],MMM:(e,t)=>t.MMM[e.getMonth()],MM:e=>so(e.getMonth()+
1),M:e=>e.getMonth()+1,DD:e=>so(e.getDate()),D:e=>e.getDate(),WWWW:(e,t)=>t.WWWW[e.getDay()],WWW:(e,t)=>t.WWW[e.getDay()],HH:e=>so(e.getHours()),H:e=>e.getHours(),
h:e=>{let t=e.getHours();return t==0?12:t>12?t-12:t},AA:e=>e.getHours()>=12?"PM":"AM",aa:e=>e.getHours()>=12?"pm":"am",a:e=>e.getHours()>=12?"p":"a",mm:e=>so(e.
getMinutes()),m:e=>e.getMinutes(),ss:e=>so(e.getSeconds()),s:e=>e.getSeconds(),fff:e=>tp(e.getMilliseconds())};function kl(e,t){t=t||ep;let n=[],r=/\{([a-z]+)\}|[^{]+/gi,
o;for(;o=r.exec(e);)n.push(o[0][0]=="{"?np[o[1]]:o[0]);return i=>{let l="";for(let u=0;u<n.length;u++)l+=typeof n[u]=="string"?n[u]:n[u](i,t);return l}}var rp=new Intl.
DateTimeFormat().resolvedOptions().timeZone;function op(e,t){let n;return t=="UTC"||t=="Etc/UTC"?n=new Date(+e+e.getTimezoneOffset()*6e4):t==rp?n=e:(n=new Date(
e.toLocaleString("en-US",{timeZone:t})),n.setMilliseconds(e.getMilliseconds())),n}var du=e=>e%1==0,Bo=[1,2,2.5,5],sp=fo(10,-32,0,Bo),hu=fo(10,0,32,Bo),lp=hu.filter(
du),er=sp.concat(hu),Sl=`
`,gu="{YYYY}",Da=Sl+gu,wu="{M}/{D}",ao=Sl+wu,Vo=ao+"/{YY}",_u="{aa}",ip="{h}:{mm}",Rr=ip+_u,Oa=Sl+Rr,Ha=":{ss}",be=null;function bu(e){let t=e*1e3,n=t*60,r=n*60,
o=r*24,i=o*30,l=o*365,f=(e==1?fo(10,0,3,Bo).filter(du):fo(10,-3,0,Bo)).concat([t,t*5,t*10,t*15,t*30,n,n*5,n*10,n*15,n*30,r,r*2,r*3,r*4,r*6,r*8,r*12,o,o*2,o*3,o*
4,o*5,o*6,o*7,o*8,o*9,o*10,o*15,i,i*2,i*3,i*4,i*6,l,l*2,l*5,l*10,l*25,l*50,l*100]),d=[[l,gu,be,be,be,be,be,be,1],[o*28,"{MMM}",Da,be,be,be,be,be,1],[o,wu,Da,be,
be,be,be,be,1],[r,"{h}"+_u,Vo,be,ao,be,be,be,1],[n,Rr,Vo,be,ao,be,be,be,1],[t,Ha,Vo+" "+Rr,be,ao+" "+Rr,be,Oa,be,1],[e,Ha+".{fff}",Vo+" "+Rr,be,ao+" "+Rr,be,Oa,
be,1]];function m(g){return(_,w,x,M,$,C)=>{let v=[],k=$>=l,S=$>=i&&$<l,V=g(x),L=Me(V*e,3),K=rl(V.getFullYear(),k?0:V.getMonth(),S||k?1:V.getDate()),B=Me(K*e,3);
if(S||k){let Z=S?$/i:0,I=k?$/l:0,E=L==B?L:Me(rl(K.getFullYear()+I,K.getMonth()+Z,1)*e,3),F=new Date(Je(E/e)),A=F.getFullYear(),Y=F.getMonth();for(let W=0;E<=M;W++){
let te=rl(A+I*W,Y+Z*W,1),j=te-g(Me(te*e,3));E=Me((+te+j)*e,3),E<=M&&v.push(E)}}else{let Z=$>=o?o:$,I=Et(x)-Et(L),E=B+I+Yo(L-B,Z);v.push(E);let F=g(E),A=F.getHours()+
F.getMinutes()/n+F.getSeconds()/r,Y=$/r,W=_.axes[w]._space,te=C/W;for(;E=Me(E+$,e==1?0:3),!(E>M);)if(Y>1){let j=Et(Me(A+Y,6))%24,ue=g(E).getHours()-j;ue>1&&(ue=
-1),E-=ue*r,A=(A+Y)%24;let ye=v[v.length-1];Me((E-ye)/$,3)*te>=.7&&v.push(E)}else v.push(E)}return v}}return[f,d,m]}var[ap,up,cp]=bu(1),[fp,mp,pp]=bu(.001);fo(2,
-53,53,[1]);function Na(e,t){return e.map(n=>n.map((r,o)=>o==0||o==8||r==null?r:t(o==1||n[8]==0?r:n[1]+r)))}function Fa(e,t){return(n,r,o,i,l)=>{let u=t.find(x=>l>=
x[0])||t[t.length-1],f,d,m,g,_,w;return r.map(x=>{let M=e(x),$=M.getFullYear(),C=M.getMonth(),v=M.getDate(),k=M.getHours(),S=M.getMinutes(),V=M.getSeconds(),L=$!=
f&&u[2]||C!=d&&u[3]||v!=m&&u[4]||k!=g&&u[5]||S!=_&&u[6]||V!=w&&u[7]||u[1];return f=$,d=C,m=v,g=k,_=S,w=V,L(M)})}}function dp(e,t){let n=kl(t);return(r,o,i,l,u)=>o.
map(f=>n(e(f)))}function rl(e,t,n){return new Date(e,t,n)}function Ia(e,t){return t(e)}var hp="{YYYY}-{MM}-{DD} {h}:{mm}{aa}";function za(e,t){return(n,r,o,i)=>i==
null?wl:t(e(r))}function gp(e,t){let n=e.series[t];return n.width?n.stroke(e,t):n.points.width?n.points.stroke(e,t):null}function wp(e,t){return e.series[t].fill(
e,t)}var _p={show:!0,live:!0,isolate:!1,mount:Nm,markers:{show:!0,width:2,stroke:gp,fill:wp,dash:"solid"},idx:null,idxs:null,values:[]};function bp(e,t){let n=e.
cursor.points,r=jt(),o=n.size(e,t);Re(r,lo,o),Re(r,io,o);let i=o/-2;Re(r,"marginLeft",i),Re(r,"marginTop",i);let l=n.width(e,t,o);return l&&Re(r,"borderWidth",l),
r}function vp(e,t){let n=e.series[t].points;return n._fill||n._stroke}function yp(e,t){let n=e.series[t].points;return n._stroke||n._fill}function xp(e,t){return e.
series[t].points.size}var ol=[0,0];function kp(e,t,n){return ol[0]=t,ol[1]=n,ol}function Wo(e,t,n,r=!0){return o=>{o.button==0&&(!r||o.target==t)&&n(o)}}function sl(e,t,n,r=!0){
return o=>{(!r||o.target==t)&&n(o)}}var Sp={show:!0,x:!0,y:!0,lock:!1,move:kp,points:{one:!1,show:bp,size:xp,width:0,stroke:yp,fill:vp},bind:{mousedown:Wo,mouseup:Wo,
click:Wo,dblclick:Wo,mousemove:sl,mouseleave:sl,mouseenter:sl},drag:{setScale:!0,x:!0,y:!1,dist:0,uni:null,click:(e,t)=>{t.stopPropagation(),t.stopImmediatePropagation()},
_x:!1,_y:!1},focus:{dist:(e,t,n,r,o)=>r-o,prox:-1,bias:0},hover:{skip:[void 0],prox:null,bias:0},left:-10,top:-10,idx:null,dataIdx:null,idxs:null,event:null},vu={
show:!0,stroke:"rgba(0,0,0,0.07)",width:2},Tl=Ue({},vu,{filter:lu}),yu=Ue({},Tl,{size:10}),xu=Ue({},vu,{show:!1}),Ml='12px system-ui, -apple-system, "Segoe UI",\
 Roboto, "Helvetica Neue", Arial, "Noto Sans", sans-serif, "Apple Color Emoji", "Segoe UI Emoji", "Segoe UI Symbol", "Noto Color Emoji"',ku="bold "+Ml,Su=1.5,Va={
show:!0,scale:"x",stroke:gl,space:50,gap:5,alignTo:1,size:50,labelGap:0,labelSize:30,labelFont:ku,side:2,grid:Tl,ticks:yu,border:xu,font:Ml,lineGap:Su,rotate:0},
Tp="Value",Mp="Time",Wa={show:!0,scale:"x",auto:!1,sorted:1,min:Te,max:-Te,idxs:[]};function $p(e,t,n,r,o){return t.map(i=>i==null?"":yl(i))}function Cp(e,t,n,r,o,i,l){
let u=[],f=In.get(o)||0;n=l?n:Me(Yo(n,o),f);for(let d=n;d<=r;d=Me(d+o,f))u.push(Object.is(d,-0)?0:d);return u}function fl(e,t,n,r,o,i,l){let u=[],f=e.scales[e.axes[t].
scale].log,d=f==10?yn:ru,m=Et(d(n));o=Dr(f,m),f==10&&(o=er[en(o,er)]);let g=n,_=o*f;f==10&&(_=er[en(_,er)]);do u.push(g),g=g+o,f==10&&!In.has(g)&&(g=Me(g,In.get(
o))),g>=_&&(o=g,_=o*f,f==10&&(_=er[en(_,er)]));while(g<=r);return u}function Pp(e,t,n,r,o,i,l){let f=e.scales[e.axes[t].scale].asinh,d=r>f?fl(e,t,_t(f,n),r,o):[
f],m=r>=0&&n<=0?[0]:[];return(n<-f?fl(e,t,_t(f,-r),-n,o):[f]).reverse().map(_=>-_).concat(m,d)}var Tu=/./,Ep=/[12357]/,Lp=/[125]/,ja=/1/,ml=(e,t,n,r)=>e.map((o,i)=>t==
4&&o==0||i%r==0&&n.test(o.toExponential()[o<0?1:0])?o:null);function Rp(e,t,n,r,o){let i=e.axes[n],l=i.scale,u=e.scales[l],f=e.valToPos,d=i._space,m=f(10,l),g=f(
9,l)-m>=d?Tu:f(7,l)-m>=d?Ep:f(5,l)-m>=d?Lp:ja;if(g==ja){let _=Qe(f(1,l)-m);if(_<d)return ml(t.slice().reverse(),u.distr,g,Gt(d/_)).reverse()}return ml(t,u.distr,
g,1)}function Ap(e,t,n,r,o){let i=e.axes[n],l=i.scale,u=i._space,f=e.valToPos,d=Qe(f(1,l)-f(2,l));return d<u?ml(t.slice().reverse(),3,Tu,Gt(u/d)).reverse():t}function Dp(e,t,n,r){
return r==null?wl:t==null?"":yl(t)}var Ga={show:!0,scale:"y",stroke:gl,space:30,gap:5,alignTo:1,size:50,labelGap:0,labelSize:30,labelFont:ku,side:3,grid:Tl,ticks:yu,
border:xu,font:Ml,lineGap:Su,rotate:0};function Op(e,t){let n=3+(e||1)*2;return Me(n*t,3)}function Hp(e,t){let{scale:n,idxs:r}=e.series[0],o=e._data[0],i=e.valToPos(
o[r[0]],n,!0),l=e.valToPos(o[r[1]],n,!0),u=Qe(l-i),f=e.series[t],d=u/(f.points.space*he);return r[1]-r[0]<=d}var qa={scale:null,auto:!0,sorted:0,min:Te,max:-Te},
Mu=(e,t,n,r,o)=>o,Ba={show:!0,auto:!0,sorted:0,gaps:Mu,alpha:1,facets:[Ue({},qa,{scale:"x"}),Ue({},qa,{scale:"y"})]},Ua={scale:"y",auto:!0,sorted:0,show:!0,spanGaps:!1,
gaps:Mu,alpha:1,points:{show:Hp,filter:null},values:null,min:Te,max:-Te,idxs:[],path:null,clip:null};function Np(e,t,n,r,o){return n/10}var $u={time:!0,auto:!0,
distr:1,log:10,asinh:1,min:null,max:null,dir:1,ori:0},Fp=Ue({},$u,{time:!1,ori:1}),Ka={};function Cu(e,t){let n=Ka[e];return n||(n={key:e,plots:[],sub(r){n.plots.
push(r)},unsub(r){n.plots=n.plots.filter(o=>o!=r)},pub(r,o,i,l,u,f,d){for(let m=0;m<n.plots.length;m++)n.plots[m]!=o&&n.plots[m].pub(r,o,i,l,u,f,d)}},e!=null&&(Ka[e]=
n)),n}var Nr=1,pl=2;function or(e,t,n){let r=e.mode,o=e.series[t],i=r==2?e._data[t]:e._data,l=e.scales,u=e.bbox,f=i[0],d=r==2?i[1]:i[t],m=r==2?l[o.facets[0].scale]:
l[e.series[0].scale],g=r==2?l[o.facets[1].scale]:l[o.scale],_=u.left,w=u.top,x=u.width,M=u.height,$=e.valToPosH,C=e.valToPosV;return m.ori==0?n(o,f,d,m,g,$,C,_,
w,x,M,Zo,Ir,es,Eu,Ru):n(o,f,d,m,g,C,$,w,_,M,x,Xo,zr,Pl,Lu,Au)}function $l(e,t){let n=0,r=0,o=fe(e.bands,xl);for(let i=0;i<o.length;i++){let l=o[i];l.series[0]==
t?n=l.dir:l.series[1]==t&&(l.dir==1?r|=1:r|=2)}return[n,r==1?-1:r==2?1:r==3?2:0]}function Ip(e,t,n,r,o){let i=e.mode,l=e.series[t],u=i==2?l.facets[1].scale:l.scale,
f=e.scales[u];return o==-1?f.min:o==1?f.max:f.distr==3?f.dir==1?f.min:f.max:0}function xn(e,t,n,r,o,i){return or(e,t,(l,u,f,d,m,g,_,w,x,M,$)=>{let C=l.pxRound,v=d.
dir*(d.ori==0?1:-1),k=d.ori==0?Ir:zr,S,V;v==1?(S=n,V=r):(S=r,V=n);let L=C(g(u[S],d,M,w)),K=C(_(f[S],m,$,x)),B=C(g(u[V],d,M,w)),Z=C(_(i==1?m.max:m.min,m,$,x)),I=new Path2D(
o);return k(I,B,Z),k(I,L,Z),k(I,L,K),I})}function Qo(e,t,n,r,o,i){let l=null;if(e.length>0){l=new Path2D;let u=t==0?es:Pl,f=n;for(let g=0;g<e.length;g++){let _=e[g];
if(_[1]>_[0]){let w=_[0]-f;w>0&&u(l,f,r,w,r+i),f=_[1]}}let d=n+o-f,m=10;d>0&&u(l,f,r-m/2,d,r+i+m)}return l}function zp(e,t,n){let r=e[e.length-1];r&&r[0]==t?r[1]=
n:e.push([t,n])}function Cl(e,t,n,r,o,i,l){let u=[],f=e.length;for(let d=o==1?n:r;d>=n&&d<=r;d+=o)if(t[d]===null){let g=d,_=d;if(o==1)for(;++d<=r&&t[d]===null;)
_=d;else for(;--d>=n&&t[d]===null;)_=d;let w=i(e[g]),x=_==g?w:i(e[_]),M=g-o;w=l<=0&&M>=0&&M<f?i(e[M]):w;let C=_+o;x=l>=0&&C>=0&&C<f?i(e[C]):x,x>=w&&u.push([w,x])}
return u}function Ya(e){return e==0?su:e==1?Je:t=>Xn(t,e)}function Pu(e){let t=e==0?Zo:Xo,n=e==0?(o,i,l,u,f,d)=>{o.arcTo(i,l,u,f,d)}:(o,i,l,u,f,d)=>{o.arcTo(l,i,
f,u,d)},r=e==0?(o,i,l,u,f)=>{o.rect(i,l,u,f)}:(o,i,l,u,f)=>{o.rect(l,i,f,u)};return(o,i,l,u,f,d=0,m=0)=>{d==0&&m==0?r(o,i,l,u,f):(d=tn(d,u/2,f/2),m=tn(m,u/2,f/2),
t(o,i+d,l),n(o,i+u,l,i+u,l+f,d),n(o,i+u,l+f,i,l+f,m),n(o,i,l+f,i,l,m),n(o,i,l,i+u,l,d),o.closePath())}}var Zo=(e,t,n)=>{e.moveTo(t,n)},Xo=(e,t,n)=>{e.moveTo(n,t)},
Ir=(e,t,n)=>{e.lineTo(t,n)},zr=(e,t,n)=>{e.lineTo(n,t)},es=Pu(0),Pl=Pu(1),Eu=(e,t,n,r,o,i)=>{e.arc(t,n,r,o,i)},Lu=(e,t,n,r,o,i)=>{e.arc(n,t,r,o,i)},Ru=(e,t,n,r,o,i,l)=>{
e.bezierCurveTo(t,n,r,o,i,l)},Au=(e,t,n,r,o,i,l)=>{e.bezierCurveTo(n,t,o,r,l,i)};function Du(e){return(t,n,r,o,i)=>or(t,n,(l,u,f,d,m,g,_,w,x,M,$)=>{let{pxRound:C,
points:v}=l,k,S;d.ori==0?(k=Zo,S=Eu):(k=Xo,S=Lu);let V=Me(v.width*he,3),L=(v.size-v.width)/2*he,K=Me(L*2,3),B=new Path2D,Z=new Path2D,{left:I,top:E,width:F,height:A}=t.
bbox;es(Z,I-K,E-K,F+K*2,A+K*2);let Y=W=>{if(f[W]!=null){let te=C(g(u[W],d,M,w)),j=C(_(f[W],m,$,x));k(B,te+L,j),S(B,te,j,L,0,jo*2)}};if(i)i.forEach(Y);else for(let W=r;W<=
o;W++)Y(W);return{stroke:V>0?B:null,fill:B,clip:Z,flags:Nr|pl}})}function Ou(e){return(t,n,r,o,i,l)=>{r!=o&&(i!=r&&l!=r&&e(t,n,r),i!=o&&l!=o&&e(t,n,o),e(t,n,l))}}
var Vp=Ou(Ir),Wp=Ou(zr);function Hu(e){let t=fe(e?.alignGaps,0);return(n,r,o,i)=>or(n,r,(l,u,f,d,m,g,_,w,x,M,$)=>{[o,i]=Uo(f,o,i);let C=l.pxRound,v=A=>C(g(A,d,M,
w)),k=A=>C(_(A,m,$,x)),S,V;d.ori==0?(S=Ir,V=Vp):(S=zr,V=Wp);let L=d.dir*(d.ori==0?1:-1),K={stroke:new Path2D,fill:null,clip:null,band:null,gaps:null,flags:Nr},B=K.
stroke,Z=!1;if(i-o>=M*4){let A=G=>n.posToVal(G,d.key,!0),Y=null,W=null,te,j,at,Ae=v(u[L==1?o:i]),ue=v(u[o]),ye=v(u[i]),ne=A(L==1?ue+1:ye-1);for(let G=L==1?o:i;G>=
o&&G<=i;G+=L){let Ke=u[G],De=(L==1?Ke<ne:Ke>ne)?Ae:v(Ke),ge=f[G];De==Ae?ge!=null?(j=ge,Y==null?(S(B,De,k(j)),te=Y=W=j):j<Y?Y=j:j>W&&(W=j)):ge===null&&(Z=!0):(Y!=
null&&V(B,Ae,k(Y),k(W),k(te),k(j)),ge!=null?(j=ge,S(B,De,k(j)),Y=W=te=j):(Y=W=null,ge===null&&(Z=!0)),Ae=De,ne=A(Ae+L))}Y!=null&&Y!=W&&at!=Ae&&V(B,Ae,k(Y),k(W),
k(te),k(j))}else for(let A=L==1?o:i;A>=o&&A<=i;A+=L){let Y=f[A];Y===null?Z=!0:Y!=null&&S(B,v(u[A]),k(Y))}let[E,F]=$l(n,r);if(l.fill!=null||E!=0){let A=K.fill=new Path2D(
B),Y=l.fillTo(n,r,l.min,l.max,E),W=k(Y),te=v(u[o]),j=v(u[i]);L==-1&&([j,te]=[te,j]),S(A,j,W),S(A,te,W)}if(!l.spanGaps){let A=[];Z&&A.push(...Cl(u,f,o,i,L,v,t)),
K.gaps=A=l.gaps(n,r,o,i,A),K.clip=Qo(A,d.ori,w,x,M,$)}return F!=0&&(K.band=F==2?[xn(n,r,o,i,B,-1),xn(n,r,o,i,B,1)]:xn(n,r,o,i,B,F)),K})}function jp(e){let t=fe(
e.align,1),n=fe(e.ascDesc,!1),r=fe(e.alignGaps,0),o=fe(e.extend,!1);return(i,l,u,f)=>or(i,l,(d,m,g,_,w,x,M,$,C,v,k)=>{[u,f]=Uo(g,u,f);let S=d.pxRound,{left:V,width:L}=i.
bbox,K=ue=>S(x(ue,_,v,$)),B=ue=>S(M(ue,w,k,C)),Z=_.ori==0?Ir:zr,I={stroke:new Path2D,fill:null,clip:null,band:null,gaps:null,flags:Nr},E=I.stroke,F=_.dir*(_.ori==
0?1:-1),A=B(g[F==1?u:f]),Y=K(m[F==1?u:f]),W=Y,te=Y;o&&t==-1&&(te=V,Z(E,te,A)),Z(E,Y,A);for(let ue=F==1?u:f;ue>=u&&ue<=f;ue+=F){let ye=g[ue];if(ye==null)continue;
let ne=K(m[ue]),G=B(ye);t==1?Z(E,ne,A):Z(E,W,G),Z(E,ne,G),A=G,W=ne}let j=W;o&&t==1&&(j=V+L,Z(E,j,A));let[at,Ae]=$l(i,l);if(d.fill!=null||at!=0){let ue=I.fill=new Path2D(
E),ye=d.fillTo(i,l,d.min,d.max,at),ne=B(ye);Z(ue,j,ne),Z(ue,te,ne)}if(!d.spanGaps){let ue=[];ue.push(...Cl(m,g,u,f,F,K,r));let ye=d.width*he/2,ne=n||t==1?ye:-ye,
G=n||t==-1?-ye:ye;ue.forEach(Ke=>{Ke[0]+=ne,Ke[1]+=G}),I.gaps=ue=d.gaps(i,l,u,f,ue),I.clip=Qo(ue,_.ori,$,C,v,k)}return Ae!=0&&(I.band=Ae==2?[xn(i,l,u,f,E,-1),xn(
i,l,u,f,E,1)]:xn(i,l,u,f,E,Ae)),I})}function Ja(e,t,n,r,o,i,l=Te){if(e.length>1){let u=null;for(let f=0,d=1/0;f<e.length;f++)if(t[f]!==void 0){if(u!=null){let m=Qe(
e[f]-e[u]);m<d&&(d=m,l=Qe(n(e[f],r,o,i)-n(e[u],r,o,i)))}u=f}}return l}function Gp(e){e=e||co;let t=fe(e.size,[.6,Te,1]),n=e.align||0,r=e.gap||0,o=e.radius;o=o==
null?[0,0]:typeof o=="number"?[o,0]:o;let i=le(o),l=1-t[0],u=fe(t[1],Te),f=fe(t[2],1),d=fe(e.disp,co),m=fe(e.each,w=>{}),{fill:g,stroke:_}=d;return(w,x,M,$)=>or(
w,x,(C,v,k,S,V,L,K,B,Z,I,E)=>{let F=C.pxRound,A=n,Y=r*he,W=u*he,te=f*he,j,at;S.ori==0?[j,at]=i(w,x):[at,j]=i(w,x);let Ae=S.dir*(S.ori==0?1:-1),ue=S.ori==0?es:Pl,
ye=S.ori==0?m:(H,$e,Ye,ur,Wn,on,jn)=>{m(H,$e,Ye,Wn,ur,jn,on)},ne=fe(w.bands,xl).find(H=>H.series[0]==x),G=ne!=null?ne.dir:0,Ke=C.fillTo(w,x,C.min,C.max,G),mt=F(
K(Ke,V,E,Z)),De,ge,Bt,yt=I,Ne=F(C.width*he),rn=!1,dn=null,Rt=null,kn=null,lr=null;g!=null&&(Ne==0||_!=null)&&(rn=!0,dn=g.values(w,x,M,$),Rt=new Map,new Set(dn).
forEach(H=>{H!=null&&Rt.set(H,new Path2D)}),Ne>0&&(kn=_.values(w,x,M,$),lr=new Map,new Set(kn).forEach(H=>{H!=null&&lr.set(H,new Path2D)})));let{x0:ir,size:qr}=d;
if(ir!=null&&qr!=null){A=1,v=ir.values(w,x,M,$),ir.unit==2&&(v=v.map(Ye=>w.posToVal(B+Ye*I,S.key,!0)));let H=qr.values(w,x,M,$);qr.unit==2?ge=H[0]*I:ge=L(H[0],S,
I,B)-L(0,S,I,B),yt=Ja(v,k,L,S,I,B,yt),Bt=yt-ge+Y}else yt=Ja(v,k,L,S,I,B,yt),Bt=yt*l+Y,ge=yt-Bt;Bt<1&&(Bt=0),Ne>=ge/2&&(Ne=0),Bt<5&&(F=su);let ho=Bt>0,zn=yt-Bt-(ho?
Ne:0);ge=F(cl(zn,te,W)),De=(A==0?ge/2:A==Ae?0:ge)-A*Ae*((A==0?Y/2:0)+(ho?Ne/2:0));let pt={stroke:null,fill:null,clip:null,band:null,gaps:null,flags:0},ar=rn?null:
new Path2D,hn=null;if(ne!=null)hn=w.data[ne.series[1]];else{let{y0:H,y1:$e}=d;H!=null&&$e!=null&&(k=$e.values(w,x,M,$),hn=H.values(w,x,M,$))}let Vn=j*ge,X=at*ge;
for(let H=Ae==1?M:$;H>=M&&H<=$;H+=Ae){let $e=k[H];if($e==null)continue;if(hn!=null){let bt=hn[H]??0;if($e-bt==0)continue;mt=K(bt,V,E,Z)}let Ye=S.distr!=2||d!=null?
v[H]:H,ur=L(Ye,S,I,B),Wn=K(fe($e,Ke),V,E,Z),on=F(ur-De),jn=F(_t(Wn,mt)),xt=F(tn(Wn,mt)),At=jn-xt;if($e!=null){let bt=$e<0?X:Vn,Ut=$e<0?Vn:X;rn?(Ne>0&&kn[H]!=null&&
ue(lr.get(kn[H]),on,xt+Et(Ne/2),ge,_t(0,At-Ne),bt,Ut),dn[H]!=null&&ue(Rt.get(dn[H]),on,xt+Et(Ne/2),ge,_t(0,At-Ne),bt,Ut)):ue(ar,on,xt+Et(Ne/2),ge,_t(0,At-Ne),bt,
Ut),ye(w,x,H,on-Ne/2,xt,ge+Ne,At)}}return Ne>0?pt.stroke=rn?lr:ar:rn||(pt._fill=C.width==0?C._fill:C._stroke??C._fill,pt.width=0),pt.fill=rn?Rt:ar,pt})}function qp(e,t){
let n=fe(t?.alignGaps,0);return(r,o,i,l)=>or(r,o,(u,f,d,m,g,_,w,x,M,$,C)=>{[i,l]=Uo(d,i,l);let v=u.pxRound,k=j=>v(_(j,m,$,x)),S=j=>v(w(j,g,C,M)),V,L,K;m.ori==0?
(V=Zo,K=Ir,L=Ru):(V=Xo,K=zr,L=Au);let B=m.dir*(m.ori==0?1:-1),Z=k(f[B==1?i:l]),I=Z,E=[],F=[];for(let j=B==1?i:l;j>=i&&j<=l;j+=B)if(d[j]!=null){let Ae=f[j],ue=k(
Ae);E.push(I=ue),F.push(S(d[j]))}let A={stroke:e(E,F,V,K,L,v),fill:null,clip:null,band:null,gaps:null,flags:Nr},Y=A.stroke,[W,te]=$l(r,o);if(u.fill!=null||W!=0){
let j=A.fill=new Path2D(Y),at=u.fillTo(r,o,u.min,u.max,W),Ae=S(at);K(j,I,Ae),K(j,Z,Ae)}if(!u.spanGaps){let j=[];j.push(...Cl(f,d,i,l,B,k,n)),A.gaps=j=u.gaps(r,o,
i,l,j),A.clip=Qo(j,m.ori,x,M,$,C)}return te!=0&&(A.band=te==2?[xn(r,o,i,l,Y,-1),xn(r,o,i,l,Y,1)]:xn(r,o,i,l,Y,te)),A})}function Bp(e){return qp(Up,e)}function Up(e,t,n,r,o,i){
let l=e.length;if(l<2)return null;let u=new Path2D;if(n(u,e[0],t[0]),l==2)r(u,e[1],t[1]);else{let f=Array(l),d=Array(l-1),m=Array(l-1),g=Array(l-1);for(let _=0;_<
l-1;_++)m[_]=t[_+1]-t[_],g[_]=e[_+1]-e[_],d[_]=m[_]/g[_];f[0]=d[0];for(let _=1;_<l-1;_++)d[_]===0||d[_-1]===0||d[_-1]>0!=d[_]>0?f[_]=0:(f[_]=3*(g[_-1]+g[_])/((2*
g[_]+g[_-1])/d[_-1]+(g[_]+2*g[_-1])/d[_]),isFinite(f[_])||(f[_]=0));f[l-1]=d[l-2];for(let _=0;_<l-1;_++)o(u,e[_]+g[_]/3,t[_]+f[_]*g[_]/3,e[_+1]-g[_]/3,t[_+1]-f[_+
1]*g[_]/3,e[_+1],t[_+1])}return u}var dl=new Set;function Qa(){for(let e of dl)e.syncRect(!0)}Fr&&(nr($m,Ar,Qa),nr(Cm,Ar,Qa,!0),nr(Go,Ar,()=>{it.pxRatio=he}));var Kp=Hu(),
Yp=Du();function Za(e,t,n,r){return(r?[e[0],e[1]].concat(e.slice(2)):[e[0]].concat(e.slice(1))).map((i,l)=>hl(i,l,t,n))}function Jp(e,t){return e.map((n,r)=>r==
0?{}:Ue({},t,n))}function hl(e,t,n,r){return Ue({},t==0?n:r,e)}function Nu(e,t,n){return t==null?Or:[t,n]}var Qp=Nu;function Zp(e,t,n){return t==null?Or:qo(t,n,
vl,!0)}function Fu(e,t,n,r){return t==null?Or:Ko(t,n,e.scales[r].log,!1)}var Xp=Fu;function Iu(e,t,n,r){return t==null?Or:bl(t,n,e.scales[r].log,!1)}var ed=Iu;function td(e,t,n,r,o){
let i=_t(Ea(e),Ea(t)),l=t-e,u=en(o/r*l,n);do{let f=n[u],d=r*f/l;if(d>=o&&i+(f<5?In.get(f):0)<=17)return[f,d]}while(++u<n.length);return[0,0]}function Xa(e){let t,
n;return e=e.replace(/(\d+)px/,(r,o)=>(t=Je((n=+o)*he))+"px"),[e,t,n]}function nd(e){e.show&&[e.font,e.labelFont].forEach(t=>{let n=Me(t[2]*he,1);t[0]=t[0].replace(
/[0-9.]+px/,n+"px"),t[1]=n})}function it(e,t,n){let r={mode:fe(e.mode,1)},o=r.mode;function i(a,c,p,h){let b=c.valToPct(a);return h+p*(c.dir==-1?1-b:b)}function l(a,c,p,h){
let b=c.valToPct(a);return h+p*(c.dir==-1?b:1-b)}function u(a,c,p,h){return c.ori==0?i(a,c,p,h):l(a,c,p,h)}r.valToPosH=i,r.valToPosV=l;let f=!1;r.status=0;let d=r.
root=jt(um);if(e.id!=null&&(d.id=e.id),Pt(d,e.class),e.title){let a=jt(mm,d);a.textContent=e.title}let m=Xt("canvas"),g=r.ctx=m.getContext("2d"),_=jt(pm,d);nr("\
click",_,a=>{a.target===x&&(Ce!=vr||Oe!=yr)&&st.click(r,a)},!0);let w=r.under=jt(dm,_);_.appendChild(m);let x=r.over=jt(hm,_);e=Hr(e);let M=+fe(e.pxAlign,1),$=Ya(
M);(e.plugins||[]).forEach(a=>{a.opts&&(e=a.opts(r,e)||e)});let C=e.ms||.001,v=r.series=o==1?Za(e.series||[],Wa,Ua,!1):Jp(e.series||[null],Ba),k=r.axes=Za(e.axes||
[],Va,Ga,!0),S=r.scales={},V=r.bands=e.bands||[];V.forEach(a=>{a.fill=le(a.fill||null),a.dir=fe(a.dir,-1)});let L=o==2?v[1].facets[0].scale:v[0].scale,K={axes:ef,
series:Yc},B=(e.drawOrder||["axes","series"]).map(a=>K[a]);function Z(a){let c=a.distr==3?p=>yn(p>0?p:a.clamp(r,p,a.min,a.max,a.key)):a.distr==4?p=>nl(p,a.asinh):
a.distr==100?p=>a.fwd(p):p=>p;return p=>{let h=c(p),{_min:b,_max:y}=a,T=y-b;return(h-b)/T}}function I(a){let c=S[a];if(c==null){let p=(e.scales||co)[a]||co;if(p.
from!=null){I(p.from);let h=Ue({},S[p.from],p,{key:a});h.valToPct=Z(h),S[a]=h}else{c=S[a]=Ue({},a==L?$u:Fp,p),c.key=a;let h=c.time,b=c.range,y=Fn(b);if((a!=L||o==
2&&!h)&&(y&&(b[0]==null||b[1]==null)&&(b={min:b[0]==null?$a:{mode:1,hard:b[0],soft:b[0]},max:b[1]==null?$a:{mode:1,hard:b[1],soft:b[1]}},y=!1),!y&&Jo(b))){let T=b;
b=(P,R,D)=>R==null?Or:qo(R,D,T)}c.range=le(b||(h?Qp:a==L?c.distr==3?Xp:c.distr==4?ed:Nu:c.distr==3?Fu:c.distr==4?Iu:Zp)),c.auto=le(y?!1:c.auto),c.clamp=le(c.clamp||
Np),c._min=c._max=null,c.valToPct=Z(c)}}}I("x"),I("y"),o==1&&v.forEach(a=>{I(a.scale)}),k.forEach(a=>{I(a.scale)});for(let a in e.scales)I(a);let E=S[L],F=E.distr,
A,Y;E.ori==0?(Pt(d,cm),A=i,Y=l):(Pt(d,fm),A=l,Y=i);let W={};for(let a in S){let c=S[a];(c.min!=null||c.max!=null)&&(W[a]={min:c.min,max:c.max},c.min=c.max=null)}
let te=e.tzDate||(a=>new Date(Je(a/C))),j=e.fmtDate||kl,at=C==1?cp(te):pp(te),Ae=Fa(te,Na(C==1?up:mp,j)),ue=za(te,Ia(hp,j)),ye=[],ne=r.legend=Ue({},_p,e.legend),
G=r.cursor=Ue({},Sp,{drag:{y:o==2}},e.cursor),Ke=ne.show,mt=G.show,De=ne.markers;ne.idxs=ye,De.width=le(De.width),De.dash=le(De.dash),De.stroke=le(De.stroke),De.
fill=le(De.fill);let ge,Bt,yt,Ne=[],rn=[],dn,Rt=!1,kn={};if(ne.live){let a=v[1]?v[1].values:null;Rt=a!=null,dn=Rt?a(r,1,0):{_:0};for(let c in dn)kn[c]=wl}if(Ke)
if(ge=Xt("table",ym,d),yt=Xt("tbody",null,ge),ne.mount(r,ge),Rt){Bt=Xt("thead",null,ge,yt);let a=Xt("tr",null,Bt);Xt("th",null,a);for(var lr in dn)Xt("th",da,a).
textContent=lr}else Pt(ge,km),ne.live&&Pt(ge,xm);let ir={show:!0},qr={show:!1};function ho(a,c){if(c==0&&(Rt||!ne.live||o==2))return Or;let p=[],h=Xt("tr",Sm,yt,
yt.childNodes[c]);Pt(h,a.class),a.show||Pt(h,tr);let b=Xt("th",null,h);if(De.show){let P=jt(Tm,b);if(c>0){let R=De.width(r,c);R&&(P.style.border=R+"px "+De.dash(
r,c)+" "+De.stroke(r,c)),P.style.background=De.fill(r,c)}}let y=jt(da,b);a.label instanceof HTMLElement?y.appendChild(a.label):y.textContent=a.label,c>0&&(De.show||
(y.style.color=a.width>0?De.stroke(r,c):De.fill(r,c)),pt("click",b,P=>{if(G._lock)return;qn(P);let R=v.indexOf(a);if((P.ctrlKey||P.metaKey)!=ne.isolate){let D=v.
some((O,N)=>N>0&&N!=R&&O.show);v.forEach((O,N)=>{N>0&&ln(N,D?N==R?ir:qr:ir,!0,Ge.setSeries)})}else ln(R,{show:!a.show},!0,Ge.setSeries)},!1),fr&&pt(_a,b,P=>{G._lock||
(qn(P),ln(v.indexOf(a),kr,!0,Ge.setSeries))},!1));for(var T in dn){let P=Xt("td",Mm,h);P.textContent="--",p.push(P)}return[h,p]}let zn=new Map;function pt(a,c,p,h=!0){
let b=zn.get(c)||{},y=G.bind[a](r,c,p,h);y&&(nr(a,c,b[a]=y),zn.set(c,b))}function ar(a,c,p){let h=zn.get(c)||{};for(let b in h)(a==null||b==a)&&(ul(b,c,h[b]),delete h[b]);
a==null&&zn.delete(c)}let hn=0,Vn=0,X=0,H=0,$e=0,Ye=0,ur=$e,Wn=Ye,on=X,jn=H,xt=0,At=0,bt=0,Ut=0;r.bbox={};let us=!1,go=!1,cr=!1,Gn=!1,wo=!1,Dt=!1;function cs(a,c,p){
(p||a!=r.width||c!=r.height)&&Wl(a,c),gr(!1),cr=!0,go=!0,wr()}function Wl(a,c){r.width=hn=X=a,r.height=Vn=H=c,$e=Ye=0,Wc(),jc();let p=r.bbox;xt=p.left=Xn($e*he,
.5),At=p.top=Xn(Ye*he,.5),bt=p.width=Xn(X*he,.5),Ut=p.height=Xn(H*he,.5)}let Ic=3;function zc(){let a=!1,c=0;for(;!a;){c++;let p=Zc(c),h=Xc(c);a=c==Ic||p&&h,a||
(Wl(r.width,r.height),go=!0)}}function Vc({width:a,height:c}){cs(a,c)}r.setSize=Vc;function Wc(){let a=!1,c=!1,p=!1,h=!1;k.forEach((b,y)=>{if(b.show&&b._show){let{
side:T,_size:P}=b,R=T%2,D=b.label!=null?b.labelSize:0,O=P+D;O>0&&(R?(X-=O,T==3?($e+=O,h=!0):p=!0):(H-=O,T==0?(Ye+=O,a=!0):c=!0))}}),Bn[0]=a,Bn[1]=p,Bn[2]=c,Bn[3]=
h,X-=Sn[1]+Sn[3],$e+=Sn[3],H-=Sn[2]+Sn[0],Ye+=Sn[0]}function jc(){let a=$e+X,c=Ye+H,p=$e,h=Ye;function b(y,T){switch(y){case 1:return a+=T,a-T;case 2:return c+=
T,c-T;case 3:return p-=T,p+T;case 0:return h-=T,h+T}}k.forEach((y,T)=>{if(y.show&&y._show){let P=y.side;y._pos=b(P,y._size),y.label!=null&&(y._lpos=b(P,y.labelSize))}})}
if(G.dataIdx==null){let a=G.hover,c=a.skip=new Set(a.skip??[]);c.add(void 0);let p=a.prox=le(a.prox),h=a.bias??=0;G.dataIdx=(b,y,T,P)=>{if(y==0)return T;let R=T,
D=p(b,y,T,P)??Te,O=D>=0&&D<Te,N=E.ori==0?X:H,Q=G.left,me=t[0],ce=t[y];if(c.has(ce[T])){R=null;let se=null,U=null,q;if(h==0||h==-1)for(q=T;se==null&&q-- >0;)c.has(
ce[q])||(se=q);if(h==0||h==1)for(q=T;U==null&&q++<ce.length;)c.has(ce[q])||(U=q);if(se!=null||U!=null)if(O){let Ee=se==null?-1/0:A(me[se],E,N,0),Ie=U==null?1/0:
A(me[U],E,N,0),rt=Q-Ee,xe=Ie-Q;rt<=xe?rt<=D&&(R=se):xe<=D&&(R=U)}else R=U==null?se:se==null?U:T-se<=U-T?se:U}else O&&Qe(Q-A(me[T],E,N,0))>D&&(R=null);return R}}
let qn=a=>{G.event=a};G.idxs=ye,G._lock=!1;let ut=G.points;ut.show=le(ut.show),ut.size=le(ut.size),ut.stroke=le(ut.stroke),ut.width=le(ut.width),ut.fill=le(ut.fill);
let sn=r.focus=Ue({},e.focus||{alpha:.3},G.focus),fr=sn.prox>=0,mr=fr&&ut.one,Ot=[],pr=[],dr=[];function jl(a,c){let p=ut.show(r,c);if(p instanceof HTMLElement)
return Pt(p,vm),Pt(p,a.class),pn(p,-10,-10,X,H),x.insertBefore(p,Ot[c]),p}function Gl(a,c){if(o==1||c>0){let p=o==1&&S[a.scale].time,h=a.value;a.value=p?Aa(h)?za(
te,Ia(h,j)):h||ue:h||Dp,a.label=a.label||(p?Mp:Tp)}if(mr||c>0){a.width=a.width==null?1:a.width,a.paths=a.paths||Kp||Fm,a.fillTo=le(a.fillTo||Ip),a.pxAlign=+fe(a.
pxAlign,M),a.pxRound=Ya(a.pxAlign),a.stroke=le(a.stroke||null),a.fill=le(a.fill||null),a._stroke=a._fill=a._paths=a._focus=null;let p=Op(_t(1,a.width),1),h=a.points=
Ue({},{size:p,width:_t(1,p*.2),stroke:a.stroke,space:p*2,paths:Yp,_stroke:null,_fill:null},a.points);h.show=le(h.show),h.filter=le(h.filter),h.fill=le(h.fill),h.
stroke=le(h.stroke),h.paths=le(h.paths),h.pxAlign=a.pxAlign}if(Ke){let p=ho(a,c);Ne.splice(c,0,p[0]),rn.splice(c,0,p[1]),ne.values.push(null)}if(mt){ye.splice(c,
0,null);let p=null;mr?c==0&&(p=jl(a,c)):c>0&&(p=jl(a,c)),Ot.splice(c,0,p),pr.splice(c,0,0),dr.splice(c,0,0)}nt("addSeries",c)}function Gc(a,c){c=c??v.length,a=o==
1?hl(a,c,Wa,Ua):hl(a,c,{},Ba),v.splice(c,0,a),Gl(v[c],c)}r.addSeries=Gc;function qc(a){if(v.splice(a,1),Ke){ne.values.splice(a,1),rn.splice(a,1);let c=Ne.splice(
a,1)[0];ar(null,c.firstChild),c.remove()}mt&&(ye.splice(a,1),Ot.splice(a,1)[0].remove(),pr.splice(a,1),dr.splice(a,1)),nt("delSeries",a)}r.delSeries=qc;let Bn=[
!1,!1,!1,!1];function Bc(a,c){if(a._show=a.show,a.show){let p=a.side%2,h=S[a.scale];h==null&&(a.scale=p?v[1].scale:L,h=S[a.scale]);let b=h.time;a.size=le(a.size),
a.space=le(a.space),a.rotate=le(a.rotate),Fn(a.incrs)&&a.incrs.forEach(T=>{!In.has(T)&&In.set(T,au(T))}),a.incrs=le(a.incrs||(h.distr==2?lp:b?C==1?ap:fp:er)),a.
splits=le(a.splits||(b&&h.distr==1?at:h.distr==3?fl:h.distr==4?Pp:Cp)),a.stroke=le(a.stroke),a.grid.stroke=le(a.grid.stroke),a.ticks.stroke=le(a.ticks.stroke),a.
border.stroke=le(a.border.stroke);let y=a.values;a.values=Fn(y)&&!Fn(y[0])?le(y):b?Fn(y)?Fa(te,Na(y,j)):Aa(y)?dp(te,y):y||Ae:y||$p,a.filter=le(a.filter||(h.distr>=
3&&h.log==10?Rp:h.distr==3&&h.log==2?Ap:lu)),a.font=Xa(a.font),a.labelFont=Xa(a.labelFont),a._size=a.size(r,null,c,0),a._space=a._rotate=a._incrs=a._found=a._splits=
a._values=null,a._size>0&&(Bn[c]=!0,a._el=jt(gm,_))}}function Br(a,c,p,h){let[b,y,T,P]=p,R=c%2,D=0;return R==0&&(P||y)&&(D=c==0&&!b||c==2&&!T?Je(Va.size/3):0),R==
1&&(b||T)&&(D=c==1&&!y||c==3&&!P?Je(Ga.size/2):0),D}let ql=r.padding=(e.padding||[Br,Br,Br,Br]).map(a=>le(fe(a,Br))),Sn=r._padding=ql.map((a,c)=>a(r,c,Bn,0)),ot,
Ze=null,Xe=null,_o=o==1?v[0].idxs:null,Kt=null,Ur=!1;function Bl(a,c){if(t=a??[],r.data=r._data=t,o==2){ot=0;for(let p=1;p<v.length;p++)ot+=t[p][0].length}else{
t.length==0&&(r.data=r._data=t=[[]]),Kt=t[0],ot=Kt.length;let p=t;if(F==2){p=t.slice();let h=p[0]=Array(ot);for(let b=0;b<ot;b++)h[b]=b}r._data=t=p}if(gr(!0),nt(
"setData"),F==2&&(cr=!0),c!==!1){let p=E;p.auto(r,Ur)?fs():Mn(L,p.min,p.max),Gn=Gn||G.left>=0,Dt=!0,wr()}}r.setData=Bl;function fs(){Ur=!0;let a,c;o==1&&(ot>0?(Ze=
_o[0]=0,Xe=_o[1]=ot-1,a=t[0][Ze],c=t[0][Xe],F==2?(a=Ze,c=Xe):a==c&&(F==3?[a,c]=Ko(a,a,E.log,!1):F==4?[a,c]=bl(a,a,E.log,!1):E.time?c=a+Je(86400/C):[a,c]=qo(a,c,
vl,!0))):(Ze=_o[0]=a=null,Xe=_o[1]=c=null)),Mn(L,a,c)}let bo,hr,ms,ps,ds,hs,gs,ws,_s,vt;function Ul(a,c,p,h,b,y){a??=ga,p??=xl,h??="butt",b??=ga,y??="round",a!=
bo&&(g.strokeStyle=bo=a),b!=hr&&(g.fillStyle=hr=b),c!=ms&&(g.lineWidth=ms=c),y!=ds&&(g.lineJoin=ds=y),h!=hs&&(g.lineCap=hs=h),p!=ps&&g.setLineDash(ps=p)}function Kl(a,c,p,h){
c!=hr&&(g.fillStyle=hr=c),a!=gs&&(g.font=gs=a),p!=ws&&(g.textAlign=ws=p),h!=_s&&(g.textBaseline=_s=h)}function bs(a,c,p,h,b=0){if(h.length>0&&a.auto(r,Ur)&&(c==
null||c.min==null)){let y=fe(Ze,0),T=fe(Xe,h.length-1),P=p.min==null?Rm(h,y,T,b,a.distr==3):[p.min,p.max];a.min=tn(a.min,p.min=P[0]),a.max=_t(a.max,p.max=P[1])}}
let Yl={min:null,max:null};function Uc(){for(let h in S){let b=S[h];W[h]==null&&(b.min==null||W[L]!=null&&b.auto(r,Ur))&&(W[h]=Yl)}for(let h in S){let b=S[h];W[h]==
null&&b.from!=null&&W[b.from]!=null&&(W[h]=Yl)}W[L]!=null&&gr(!0);let a={};for(let h in W){let b=W[h];if(b!=null){let y=a[h]=Hr(S[h],Vm);if(b.min!=null)Ue(y,b);else if(h!=
L||o==2)if(ot==0&&y.from==null){let T=y.range(r,null,null,h);y.min=T[0],y.max=T[1]}else y.min=Te,y.max=-Te}}if(ot>0){v.forEach((h,b)=>{if(o==1){let y=h.scale,T=W[y];
if(T==null)return;let P=a[y];if(b==0){let R=P.range(r,P.min,P.max,y);P.min=R[0],P.max=R[1],Ze=en(P.min,t[0]),Xe=en(P.max,t[0]),Xe-Ze>1&&(t[0][Ze]<P.min&&Ze++,t[0][Xe]>
P.max&&Xe--),h.min=Kt[Ze],h.max=Kt[Xe]}else h.show&&h.auto&&bs(P,T,h,t[b],h.sorted);h.idxs[0]=Ze,h.idxs[1]=Xe}else if(b>0&&h.show&&h.auto){let[y,T]=h.facets,P=y.
scale,R=T.scale,[D,O]=t[b],N=a[P],Q=a[R];N!=null&&bs(N,W[P],y,D,y.sorted),Q!=null&&bs(Q,W[R],T,O,T.sorted),h.min=T.min,h.max=T.max}});for(let h in a){let b=a[h],
y=W[h];if(b.from==null&&(y==null||y.min==null)){let T=b.range(r,b.min==Te?null:b.min,b.max==-Te?null:b.max,h);b.min=T[0],b.max=T[1]}}}for(let h in a){let b=a[h];
if(b.from!=null){let y=a[b.from];if(y.min==null)b.min=b.max=null;else{let T=b.range(r,y.min,y.max,h);b.min=T[0],b.max=T[1]}}}let c={},p=!1;for(let h in a){let b=a[h],
y=S[h];if(y.min!=b.min||y.max!=b.max){y.min=b.min,y.max=b.max;let T=y.distr;y._min=T==3?yn(y.min):T==4?nl(y.min,y.asinh):T==100?y.fwd(y.min):y.min,y._max=T==3?yn(
y.max):T==4?nl(y.max,y.asinh):T==100?y.fwd(y.max):y.max,c[h]=p=!0}}if(p){v.forEach((h,b)=>{o==2?b>0&&c.y&&(h._paths=null):c[h.scale]&&(h._paths=null)});for(let h in c)
cr=!0,nt("setScale",h);mt&&G.left>=0&&(Gn=Dt=!0)}for(let h in W)W[h]=null}function Kc(a){let c=cl(Ze-1,0,ot-1),p=cl(Xe+1,0,ot-1);for(;a[c]==null&&c>0;)c--;for(;a[p]==
null&&p<ot-1;)p++;return[c,p]}function Yc(){if(ot>0){let a=v.some(c=>c._focus)&&vt!=sn.alpha;a&&(g.globalAlpha=vt=sn.alpha),v.forEach((c,p)=>{if(p>0&&c.show&&(Jl(
p,!1),Jl(p,!0),c._paths==null)){let h=vt;vt!=c.alpha&&(g.globalAlpha=vt=c.alpha);let b=o==2?[0,t[p][0].length-1]:Kc(t[p]);c._paths=c.paths(r,p,b[0],b[1]),vt!=h&&
(g.globalAlpha=vt=h)}}),v.forEach((c,p)=>{if(p>0&&c.show){let h=vt;vt!=c.alpha&&(g.globalAlpha=vt=c.alpha),c._paths!=null&&Ql(p,!1);{let b=c._paths!=null?c._paths.
gaps:null,y=c.points.show(r,p,Ze,Xe,b),T=c.points.filter(r,p,y,b);(y||T)&&(c.points._paths=c.points.paths(r,p,Ze,Xe,T),Ql(p,!0))}vt!=h&&(g.globalAlpha=vt=h),nt(
"drawSeries",p)}}),a&&(g.globalAlpha=vt=1)}}function Jl(a,c){let p=c?v[a].points:v[a];p._stroke=p.stroke(r,a),p._fill=p.fill(r,a)}function Ql(a,c){let p=c?v[a].
points:v[a],{stroke:h,fill:b,clip:y,flags:T,_stroke:P=p._stroke,_fill:R=p._fill,_width:D=p.width}=p._paths;D=Me(D*he,3);let O=null,N=D%2/2;c&&R==null&&(R=D>0?"#\
fff":P);let Q=p.pxAlign==1&&N>0;if(Q&&g.translate(N,N),!c){let me=xt-D/2,ce=At-D/2,se=bt+D,U=Ut+D;O=new Path2D,O.rect(me,ce,se,U)}c?vs(P,D,p.dash,p.cap,R,h,b,T,
y):Jc(a,P,D,p.dash,p.cap,R,h,b,T,O,y),Q&&g.translate(-N,-N)}function Jc(a,c,p,h,b,y,T,P,R,D,O){let N=!1;R!=0&&V.forEach((Q,me)=>{if(Q.series[0]==a){let ce=v[Q.series[1]],
se=t[Q.series[1]],U=(ce._paths||co).band;Fn(U)&&(U=Q.dir==1?U[0]:U[1]);let q,Ee=null;ce.show&&U&&Dm(se,Ze,Xe)?(Ee=Q.fill(r,me)||y,q=ce._paths.clip):U=null,vs(c,
p,h,b,Ee,T,P,R,D,O,q,U),N=!0}}),N||vs(c,p,h,b,y,T,P,R,D,O)}let Zl=Nr|pl;function vs(a,c,p,h,b,y,T,P,R,D,O,N){Ul(a,c,p,h,b),(R||D||N)&&(g.save(),R&&g.clip(R),D&&
g.clip(D)),N?(P&Zl)==Zl?(g.clip(N),O&&g.clip(O),yo(b,T),vo(a,y,c)):P&pl?(yo(b,T),g.clip(N),vo(a,y,c)):P&Nr&&(g.save(),g.clip(N),O&&g.clip(O),yo(b,T),g.restore(),
vo(a,y,c)):(yo(b,T),vo(a,y,c)),(R||D||N)&&g.restore()}function vo(a,c,p){p>0&&(c instanceof Map?c.forEach((h,b)=>{g.strokeStyle=bo=b,g.stroke(h)}):c!=null&&a&&g.
stroke(c))}function yo(a,c){c instanceof Map?c.forEach((p,h)=>{g.fillStyle=hr=h,g.fill(p)}):c!=null&&a&&g.fill(c)}function Qc(a,c,p,h){let b=k[a],y;if(h<=0)y=[0,
0];else{let T=b._space=b.space(r,a,c,p,h),P=b._incrs=b.incrs(r,a,c,p,h,T);y=td(c,p,P,h,T)}return b._found=y}function ys(a,c,p,h,b,y,T,P,R,D){let O=T%2/2;M==1&&g.
translate(O,O),Ul(P,T,R,D,P),g.beginPath();let N,Q,me,ce,se=b+(h==0||h==3?-y:y);p==0?(Q=b,ce=se):(N=b,me=se);for(let U=0;U<a.length;U++)c[U]!=null&&(p==0?N=me=a[U]:
Q=ce=a[U],g.moveTo(N,Q),g.lineTo(me,ce));g.stroke(),M==1&&g.translate(-O,-O)}function Zc(a){let c=!0;return k.forEach((p,h)=>{if(!p.show)return;let b=S[p.scale];
if(b.min==null){p._show&&(c=!1,p._show=!1,gr(!1));return}else p._show||(c=!1,p._show=!0,gr(!1));let y=p.side,T=y%2,{min:P,max:R}=b,[D,O]=Qc(h,P,R,T==0?X:H);if(O==
0)return;let N=b.distr==2,Q=p._splits=p.splits(r,h,P,R,D,O,N),me=b.distr==2?Q.map(q=>Kt[q]):Q,ce=b.distr==2?Kt[Q[1]]-Kt[Q[0]]:D,se=p._values=p.values(r,p.filter(
r,me,h,O,ce),h,O,ce);p._rotate=y==2?p.rotate(r,se,h,O):0;let U=p._size;p._size=Gt(p.size(r,se,h,a)),U!=null&&p._size!=U&&(c=!1)}),c}function Xc(a){let c=!0;return ql.
forEach((p,h)=>{let b=p(r,h,Bn,a);b!=Sn[h]&&(c=!1),Sn[h]=b}),c}function ef(){for(let a=0;a<k.length;a++){let c=k[a];if(!c.show||!c._show)continue;let p=c.side,h=p%
2,b,y,T=c.stroke(r,a),P=p==0||p==3?-1:1,[R,D]=c._found;if(c.label!=null){let ht=c.labelGap*P,Tt=Je((c._lpos+ht)*he);Kl(c.labelFont[0],T,"center",p==2?"top":ha),
g.save(),h==1?(b=y=0,g.translate(Tt,Je(At+Ut/2)),g.rotate((p==3?-jo:jo)/2)):(b=Je(xt+bt/2),y=Tt);let Yn=ou(c.label)?c.label(r,a,R,D):c.label;g.fillText(Yn,b,y),
g.restore()}if(D==0)continue;let O=S[c.scale],N=h==0?bt:Ut,Q=h==0?xt:At,me=c._splits,ce=O.distr==2?me.map(ht=>Kt[ht]):me,se=O.distr==2?Kt[me[1]]-Kt[me[0]]:R,U=c.
ticks,q=c.border,Ee=U.show?U.size:0,Ie=Je(Ee*he),rt=Je((c.alignTo==2?c._size-Ee-c.gap:c.gap)*he),xe=c._rotate*-jo/180,ze=$(c._pos*he),kt=(Ie+rt)*P,dt=ze+kt;y=h==
0?dt:0,b=h==1?dt:0;let Ht=c.font[0],Yt=c.align==1?Lr:c.align==2?Xs:xe>0?Lr:xe<0?Xs:h==0?"center":p==3?Xs:Lr,un=xe||h==1?"middle":p==2?"top":ha;Kl(Ht,T,Yt,un);let St=c.
font[1]*c.lineGap,Nt=me.map(ht=>$(u(ht,O,N,Q))),Jt=c._values;for(let ht=0;ht<Jt.length;ht++){let Tt=Jt[ht];if(Tt!=null){h==0?b=Nt[ht]:y=Nt[ht],Tt=""+Tt;let Yn=Tt.
indexOf(`
`)==-1?[Tt]:Tt.split(/\n/gm);for(let gt=0;gt<Yn.length;gt++){let wi=Yn[gt];xe?(g.save(),g.translate(b,y+gt*St),g.rotate(xe),g.fillText(wi,0,0),g.restore()):g.fillText(
wi,b,y+gt*St)}}}U.show&&ys(Nt,U.filter(r,ce,a,D,se),h,p,ze,Ie,Me(U.width*he,3),U.stroke(r,a),U.dash,U.cap);let cn=c.grid;cn.show&&ys(Nt,cn.filter(r,ce,a,D,se),h,
h==0?2:1,h==0?At:xt,h==0?Ut:bt,Me(cn.width*he,3),cn.stroke(r,a),cn.dash,cn.cap),q.show&&ys([ze],[1],h==0?1:0,h==0?1:2,h==1?At:xt,h==1?Ut:bt,Me(q.width*he,3),q.stroke(
r,a),q.dash,q.cap)}nt("drawAxes")}function gr(a){v.forEach((c,p)=>{p>0&&(c._paths=null,a&&(o==1?(c.min=null,c.max=null):c.facets.forEach(h=>{h.min=null,h.max=null})))})}
let xo=!1,xs=!1,Kr=[];function tf(){xs=!1;for(let a=0;a<Kr.length;a++)nt(...Kr[a]);Kr.length=0}function wr(){xo||(Km(Xl),xo=!0)}function nf(a,c=!1){xo=!0,xs=c,a(
r),Xl(),c&&Kr.length>0&&queueMicrotask(tf)}r.batch=nf;function Xl(){if(us&&(Uc(),us=!1),cr&&(zc(),cr=!1),go){if(Re(w,Lr,$e),Re(w,"top",Ye),Re(w,lo,X),Re(w,io,H),
Re(x,Lr,$e),Re(x,"top",Ye),Re(x,lo,X),Re(x,io,H),Re(_,lo,hn),Re(_,io,Vn),m.width=Je(hn*he),m.height=Je(Vn*he),k.forEach(({_el:a,_show:c,_size:p,_pos:h,side:b})=>{
if(a!=null)if(c){let y=b===3||b===0?p:0,T=b%2==1;Re(a,T?"left":"top",h-y),Re(a,T?"width":"height",p),Re(a,T?"top":"left",T?Ye:$e),Re(a,T?"height":"width",T?H:X),
al(a,tr)}else Pt(a,tr)}),bo=hr=ms=ds=hs=gs=ws=_s=ps=null,vt=1,Qr(!0),$e!=ur||Ye!=Wn||X!=on||H!=jn){gr(!1);let a=X/on,c=H/jn;if(mt&&!Gn&&G.left>=0){G.left*=a,G.top*=
c,_r&&pn(_r,Je(G.left),0,X,H),br&&pn(br,0,Je(G.top),X,H);for(let p=0;p<Ot.length;p++){let h=Ot[p];h!=null&&(pr[p]*=a,dr[p]*=c,pn(h,Gt(pr[p]),Gt(dr[p]),X,H))}}if(Pe.
show&&!wo&&Pe.left>=0&&Pe.width>0){Pe.left*=a,Pe.width*=a,Pe.top*=c,Pe.height*=c;for(let p in Cs)Re(xr,p,Pe[p])}ur=$e,Wn=Ye,on=X,jn=H}nt("setSize"),go=!1}hn>0&&
Vn>0&&(g.clearRect(0,0,m.width,m.height),nt("drawClear"),B.forEach(a=>a()),nt("draw")),Pe.show&&wo&&(ko(Pe),wo=!1),mt&&Gn&&(Kn(null,!0,!1),Gn=!1),ne.show&&ne.live&&
Dt&&(Ms(),Dt=!1),f||(f=!0,r.status=1,nt("ready")),Ur=!1,xo=!1}r.redraw=(a,c)=>{cr=c||!1,a!==!1?Mn(L,E.min,E.max):wr()};function ks(a,c){let p=S[a];if(p.from==null){
if(ot==0){let h=p.range(r,c.min,c.max,a);c.min=h[0],c.max=h[1]}if(c.min>c.max){let h=c.min;c.min=c.max,c.max=h}if(ot>1&&c.min!=null&&c.max!=null&&c.max-c.min<1e-16)
return;a==L&&p.distr==2&&ot>0&&(c.min=en(c.min,t[0]),c.max=en(c.max,t[0]),c.min==c.max&&c.max++),W[a]=c,us=!0,wr()}}r.setScale=ks;let Ss,Ts,_r,br,ei,ti,vr,yr,ni,
ri,Ce,Oe,Tn=!1,st=G.drag,et=st.x,tt=st.y;mt&&(G.x&&(Ss=jt(_m,x)),G.y&&(Ts=jt(bm,x)),E.ori==0?(_r=Ss,br=Ts):(_r=Ts,br=Ss),Ce=G.left,Oe=G.top);let Pe=r.select=Ue(
{show:!0,over:!0,left:0,width:0,top:0,height:0},e.select),xr=Pe.show?jt(wm,Pe.over?x:w):null;function ko(a,c){if(Pe.show){for(let p in a)Pe[p]=a[p],p in Cs&&Re(
xr,p,a[p]);c!==!1&&nt("setSelect")}}r.setSelect=ko;function rf(a){if(v[a].show)Ke&&al(Ne[a],tr);else if(Ke&&Pt(Ne[a],tr),mt){let p=mr?Ot[0]:Ot[a];p!=null&&pn(p,
-10,-10,X,H)}}function Mn(a,c,p){ks(a,{min:c,max:p})}function ln(a,c,p,h){c.focus!=null&&uf(a),c.show!=null&&v.forEach((b,y)=>{y>0&&(a==y||a==null)&&(b.show=c.show,
rf(y),o==2?(Mn(b.facets[0].scale,null,null),Mn(b.facets[1].scale,null,null)):Mn(b.scale,null,null),wr())}),p!==!1&&nt("setSeries",a,c),h&&Zr("setSeries",r,a,c)}
r.setSeries=ln;function of(a,c){Ue(V[a],c)}function sf(a,c){a.fill=le(a.fill||null),a.dir=fe(a.dir,-1),c=c??V.length,V.splice(c,0,a)}function lf(a){a==null?V.length=
0:V.splice(a,1)}r.addBand=sf,r.setBand=of,r.delBand=lf;function af(a,c){v[a].alpha=c,mt&&Ot[a]!=null&&(Ot[a].style.opacity=c),Ke&&Ne[a]&&(Ne[a].style.opacity=c)}
let gn,$n,Un,kr={focus:!0};function uf(a){if(a!=Un){let c=a==null,p=sn.alpha!=1;v.forEach((h,b)=>{if(o==1||b>0){let y=c||b==0||b==a;h._focus=c?null:y,p&&af(b,y?
1:sn.alpha)}}),Un=a,p&&wr()}}Ke&&fr&&pt(ba,ge,a=>{G._lock||(qn(a),Un!=null&&ln(null,kr,!0,Ge.setSeries))});function an(a,c,p){let h=S[c];p&&(a=a/he-(h.ori==1?Ye:
$e));let b=X;h.ori==1&&(b=H,a=b-a),h.dir==-1&&(a=b-a);let y=h._min,T=h._max,P=a/b,R=y+(T-y)*P,D=h.distr;return D==3?Dr(10,R):D==4?Hm(R,h.asinh):D==100?h.bwd(R):
R}function cf(a,c){let p=an(a,L,c);return en(p,t[0],Ze,Xe)}r.valToIdx=a=>en(a,t[0]),r.posToIdx=cf,r.posToVal=an,r.valToPos=(a,c,p)=>S[c].ori==0?i(a,S[c],p?bt:X,
p?xt:0):l(a,S[c],p?Ut:H,p?At:0),r.setCursor=(a,c,p)=>{Ce=a.left,Oe=a.top,Kn(null,c,p)};function oi(a,c){Re(xr,Lr,Pe.left=a),Re(xr,lo,Pe.width=c)}function si(a,c){
Re(xr,"top",Pe.top=a),Re(xr,io,Pe.height=c)}let Yr=E.ori==0?oi:si,Jr=E.ori==1?oi:si;function ff(){if(Ke&&ne.live)for(let a=o==2?1:0;a<v.length;a++){if(a==0&&Rt)
continue;let c=ne.values[a],p=0;for(let h in c)rn[a][p++].firstChild.nodeValue=c[h]}}function Ms(a,c){if(a!=null&&(a.idxs?a.idxs.forEach((p,h)=>{ye[h]=p}):zm(a.
idx)||ye.fill(a.idx),ne.idx=ye[0]),Ke&&ne.live){for(let p=0;p<v.length;p++)(p>0||o==1&&!Rt)&&mf(p,ye[p]);ff()}Dt=!1,c!==!1&&nt("setLegend")}r.setLegend=Ms;function mf(a,c){
let p=v[a],h=a==0&&F==2?Kt:t[a],b;Rt?b=p.values(r,a,c)??kn:(b=p.value(r,c==null?null:h[c],a,c),b=b==null?kn:{_:b}),ne.values[a]=b}function Kn(a,c,p){ni=Ce,ri=Oe,
[Ce,Oe]=G.move(r,Ce,Oe),G.left=Ce,G.top=Oe,mt&&(_r&&pn(_r,Je(Ce),0,X,H),br&&pn(br,0,Je(Oe),X,H));let h,b=Ze>Xe;gn=Te,$n=null;let y=E.ori==0?X:H,T=E.ori==1?X:H;if(Ce<
0||ot==0||b){h=G.idx=null;for(let P=0;P<v.length;P++){let R=Ot[P];R!=null&&pn(R,-10,-10,X,H)}fr&&ln(null,kr,!0,a==null&&Ge.setSeries),ne.live&&(ye.fill(h),Dt=!0)}else{
let P,R,D;o==1&&(P=E.ori==0?Ce:Oe,R=an(P,L),h=G.idx=en(R,t[0],Ze,Xe),D=A(t[0][h],E,y,0));let O=-10,N=-10,Q=0,me=0,ce=!0,se="",U="";for(let q=o==2?1:0;q<v.length;q++){
let Ee=v[q],Ie=ye[q],rt=Ie==null?null:o==1?t[q][Ie]:t[q][1][Ie],xe=G.dataIdx(r,q,h,R),ze=xe==null?null:o==1?t[q][xe]:t[q][1][xe];if(Dt=Dt||ze!=rt||xe!=Ie,ye[q]=
xe,q>0&&Ee.show){let kt=xe==null?-10:xe==h?D:A(o==1?t[0][xe]:t[q][0][xe],E,y,0),dt=ze==null?-10:Y(ze,o==1?S[Ee.scale]:S[Ee.facets[1].scale],T,0);if(fr&&ze!=null){
let Ht=E.ori==1?Ce:Oe,Yt=Qe(sn.dist(r,q,xe,dt,Ht));if(Yt<gn){let un=sn.bias;if(un!=0){let St=an(Ht,Ee.scale),Nt=ze>=0?1:-1,Jt=St>=0?1:-1;Jt==Nt&&(Jt==1?un==1?ze>=
St:ze<=St:un==1?ze<=St:ze>=St)&&(gn=Yt,$n=q)}else gn=Yt,$n=q}}if(Dt||mr){let Ht,Yt;E.ori==0?(Ht=kt,Yt=dt):(Ht=dt,Yt=kt);let un,St,Nt,Jt,cn,ht,Tt=!0,Yn=ut.bbox;if(Yn!=
null){Tt=!1;let gt=Yn(r,q);Nt=gt.left,Jt=gt.top,un=gt.width,St=gt.height}else Nt=Ht,Jt=Yt,un=St=ut.size(r,q);if(ht=ut.fill(r,q),cn=ut.stroke(r,q),mr)q==$n&&gn<=
sn.prox&&(O=Nt,N=Jt,Q=un,me=St,ce=Tt,se=ht,U=cn);else{let gt=Ot[q];gt!=null&&(pr[q]=Nt,dr[q]=Jt,Ma(gt,un,St,Tt),Sa(gt,ht,cn),pn(gt,Gt(Nt),Gt(Jt),X,H))}}}}if(mr){
let q=sn.prox,Ee=Un==null?gn<=q:gn>q||$n!=Un;if(Dt||Ee){let Ie=Ot[0];Ie!=null&&(pr[0]=O,dr[0]=N,Ma(Ie,Q,me,ce),Sa(Ie,se,U),pn(Ie,Gt(O),Gt(N),X,H))}}}if(Pe.show&&
Tn)if(a!=null){let[P,R]=Ge.scales,[D,O]=Ge.match,[N,Q]=a.cursor.sync.scales,me=a.cursor.drag;if(et=me._x,tt=me._y,et||tt){let{left:ce,top:se,width:U,height:q}=a.
select,Ee=a.scales[N].ori,Ie=a.posToVal,rt,xe,ze,kt,dt,Ht=P!=null&&D(P,N),Yt=R!=null&&O(R,Q);Ht&&et?(Ee==0?(rt=ce,xe=U):(rt=se,xe=q),ze=S[P],kt=A(Ie(rt,N),ze,y,
0),dt=A(Ie(rt+xe,N),ze,y,0),Yr(tn(kt,dt),Qe(dt-kt))):Yr(0,y),Yt&&tt?(Ee==1?(rt=ce,xe=U):(rt=se,xe=q),ze=S[R],kt=Y(Ie(rt,Q),ze,T,0),dt=Y(Ie(rt+xe,Q),ze,T,0),Jr(tn(
kt,dt),Qe(dt-kt))):Jr(0,T)}else Ps()}else{let P=Qe(ni-ei),R=Qe(ri-ti);if(E.ori==1){let Q=P;P=R,R=Q}et=st.x&&P>=st.dist,tt=st.y&&R>=st.dist;let D=st.uni;D!=null?
et&&tt&&(et=P>=D,tt=R>=D,!et&&!tt&&(R>P?tt=!0:et=!0)):st.x&&st.y&&(et||tt)&&(et=tt=!0);let O,N;et&&(E.ori==0?(O=vr,N=Ce):(O=yr,N=Oe),Yr(tn(O,N),Qe(N-O)),tt||Jr(
0,T)),tt&&(E.ori==1?(O=vr,N=Ce):(O=yr,N=Oe),Jr(tn(O,N),Qe(N-O)),et||Yr(0,y)),!et&&!tt&&(Yr(0,0),Jr(0,0))}if(st._x=et,st._y=tt,a==null){if(p){if(gi!=null){let[P,
R]=Ge.scales;Ge.values[0]=P!=null?an(E.ori==0?Ce:Oe,P):null,Ge.values[1]=R!=null?an(E.ori==1?Ce:Oe,R):null}Zr(el,r,Ce,Oe,X,H,h)}if(fr){let P=p&&Ge.setSeries,R=sn.
prox;Un==null?gn<=R&&ln($n,kr,!0,P):gn>R?ln(null,kr,!0,P):$n!=Un&&ln($n,kr,!0,P)}}Dt&&(ne.idx=h,Ms()),c!==!1&&nt("setCursor")}let Cn=null;Object.defineProperty(
r,"rect",{get(){return Cn==null&&Qr(!1),Cn}});function Qr(a=!1){a?Cn=null:(Cn=x.getBoundingClientRect(),nt("syncRect",Cn))}function li(a,c,p,h,b,y,T){G._lock||Tn&&
a!=null&&a.movementX==0&&a.movementY==0||($s(a,c,p,h,b,y,T,!1,a!=null),a!=null?Kn(null,!0,!0):Kn(c,!0,!1))}function $s(a,c,p,h,b,y,T,P,R){if(Cn==null&&Qr(!1),qn(
a),a!=null)p=a.clientX-Cn.left,h=a.clientY-Cn.top;else{if(p<0||h<0){Ce=-10,Oe=-10;return}let[D,O]=Ge.scales,N=c.cursor.sync,[Q,me]=N.values,[ce,se]=N.scales,[U,
q]=Ge.match,Ee=c.axes[0].side%2==1,Ie=E.ori==0?X:H,rt=E.ori==1?X:H,xe=Ee?y:b,ze=Ee?b:y,kt=Ee?h:p,dt=Ee?p:h;if(ce!=null?p=U(D,ce)?u(Q,S[D],Ie,0):-10:p=Ie*(kt/xe),
se!=null?h=q(O,se)?u(me,S[O],rt,0):-10:h=rt*(dt/ze),E.ori==1){let Ht=p;p=h,h=Ht}}R&&(c==null||c.cursor.event.type==el)&&((p<=1||p>=X-1)&&(p=Xn(p,X)),(h<=1||h>=H-
1)&&(h=Xn(h,H))),P?(ei=p,ti=h,[vr,yr]=G.move(r,p,h)):(Ce=p,Oe=h)}let Cs={width:0,height:0,left:0,top:0};function Ps(){ko(Cs,!1)}let ii,ai,ui,ci;function fi(a,c,p,h,b,y,T){
Tn=!0,et=tt=st._x=st._y=!1,$s(a,c,p,h,b,y,T,!0,!1),a!=null&&(pt(tl,ll,mi,!1),Zr(wa,r,vr,yr,X,H,null));let{left:P,top:R,width:D,height:O}=Pe;ii=P,ai=R,ui=D,ci=O}
function mi(a,c,p,h,b,y,T){Tn=st._x=st._y=!1,$s(a,c,p,h,b,y,T,!1,!0);let{left:P,top:R,width:D,height:O}=Pe,N=D>0||O>0,Q=ii!=P||ai!=R||ui!=D||ci!=O;if(N&&Q&&ko(Pe),
st.setScale&&N&&Q){let me=P,ce=D,se=R,U=O;if(E.ori==1&&(me=R,ce=O,se=P,U=D),et&&Mn(L,an(me,L),an(me+ce,L)),tt)for(let q in S){let Ee=S[q];q!=L&&Ee.from==null&&Ee.
min!=Te&&Mn(q,an(se+U,q),an(se,q))}Ps()}else G.lock&&(G._lock=!G._lock,Kn(c,!0,a!=null));a!=null&&(ar(tl,ll),Zr(tl,r,Ce,Oe,X,H,null))}function pf(a,c,p,h,b,y,T){
if(G._lock)return;qn(a);let P=Tn;if(Tn){let R=!0,D=!0,O=10,N,Q;E.ori==0?(N=et,Q=tt):(N=tt,Q=et),N&&Q&&(R=Ce<=O||Ce>=X-O,D=Oe<=O||Oe>=H-O),N&&R&&(Ce=Ce<vr?0:X),Q&&
D&&(Oe=Oe<yr?0:H),Kn(null,!0,!0),Tn=!1}Ce=-10,Oe=-10,ye.fill(null),Kn(null,!0,!0),P&&(Tn=P)}function pi(a,c,p,h,b,y,T){G._lock||(qn(a),fs(),Ps(),a!=null&&Zr(va,
r,Ce,Oe,X,H,null))}function di(){k.forEach(nd),cs(r.width,r.height,!0)}nr(Go,Ar,di);let Sr={};Sr.mousedown=fi,Sr.mousemove=li,Sr.mouseup=mi,Sr.dblclick=pi,Sr.setSeries=
(a,c,p,h)=>{let b=Ge.match[2];p=b(r,c,p),p!=-1&&ln(p,h,!0,!1)},mt&&(pt(wa,x,fi),pt(el,x,li),pt(_a,x,a=>{qn(a),Qr(!1)}),pt(ba,x,pf),pt(va,x,pi),dl.add(r),r.syncRect=
Qr);let So=r.hooks=e.hooks||{};function nt(a,c,p){xs?Kr.push([a,c,p]):a in So&&So[a].forEach(h=>{h.call(null,r,c,p)})}(e.plugins||[]).forEach(a=>{for(let c in a.
hooks)So[c]=(So[c]||[]).concat(a.hooks[c])});let hi=(a,c,p)=>p,Ge=Ue({key:null,setSeries:!1,filters:{pub:La,sub:La},scales:[L,v[1]?v[1].scale:null],match:[Ra,Ra,
hi],values:[null,null]},G.sync);Ge.match.length==2&&Ge.match.push(hi),G.sync=Ge;let gi=Ge.key,Es=Cu(gi);function Zr(a,c,p,h,b,y,T){Ge.filters.pub(a,c,p,h,b,y,T)&&
Es.pub(a,c,p,h,b,y,T)}Es.sub(r);function df(a,c,p,h,b,y,T){Ge.filters.sub(a,c,p,h,b,y,T)&&Sr[a](null,c,p,h,b,y,T)}r.pub=df;function hf(){Es.unsub(r),dl.delete(r),
zn.clear(),ul(Go,Ar,di),d.remove(),ge?.remove(),nt("destroy")}r.destroy=hf;function Ls(){nt("init",e,t),Bl(t||e.data,!1),W[L]?ks(L,W[L]):fs(),wo=Pe.show&&(Pe.width>
0||Pe.height>0),Gn=Dt=!0,cs(e.width,e.height)}return v.forEach(Gl),k.forEach(Bc),n?n instanceof HTMLElement?(n.appendChild(d),Ls()):n(r,Ls):Ls(),r}it.assign=Ue;
it.fmtNum=yl;it.rangeNum=qo;it.rangeLog=Ko;it.rangeAsinh=bl;it.orient=or;it.pxRatio=he;it.join=Um;it.fmtDate=kl,it.tzDate=op;it.sync=Cu;{it.addGap=zp,it.clipGaps=
Qo;let e=it.paths={points:Du};e.linear=Hu,e.stepped=jp,e.bars=Gp,e.spline=Bp}function rd(e,t){return/^#[0-9a-f]{6}$/i.test(e)?e+t:"transparent"}function od(e){let t={stroke:de("muted"),font:"11px system-ui, sans-serif",ticks:{show:!1}},n={
stroke:de("grid"),width:1};return[{...t,grid:{show:!1},size:22,space:70,values:(r,o)=>o.map(i=>sd(i,o))},{...t,grid:n,size:(r,o)=>ld(r,o),space:28,gap:4,values:(r,o)=>o.
map(i=>e(i))}]}function sd(e,t){let n=(t[1]??0)-(t[0]??0),r=ke(e*1e3);return n>=86400?Mt(e*1e3,0).split(",")[0]??r:n>=60?r.slice(0,5):r}function ld(e,t){return t?
(e.ctx.font=`${11*devicePixelRatio}px system-ui, sans-serif`,Math.max(30,...t.map(n=>e.ctx.measureText(n).width/devicePixelRatio+10))):40}function id(e,t,n,r){return{
...t,padding:[8,18,0,0],legend:{show:!1},cursor:{y:!1,drag:{x:!0,y:!1,setScale:!1},points:{size:5}},select:{show:!0,left:0,top:0,width:0,height:0},scales:{x:{time:!0,
range:()=>[n.current.from/1e3,n.current.to/1e3]},y:{range:(o,i,l)=>ad(e,i,l)}},axes:od(e.format),series:[{},...e.series.map(o=>{let i=de(o.tone);return{label:o.
label,stroke:i,width:o.thin?1:1.5,...o.dash?{dash:[4,3]}:{},...o.fill?{fill:rd(i,"22")}:{},points:{show:(l,u,f,d)=>d-f<2},spanGaps:!1}})],hooks:r}}function ad(e,t,n){
let r=Math.max(n??0,e.top??0,...(e.dots??[]).map(i=>i.value)),o=e.from0===!1?t??0:Math.min(0,t??0);return r>o?[o,r+(r-o)*.06]:[o,o+1]}function ud(e,t){return[e.
valToPos(t.time_ns/1e9,"x",!0),e.valToPos(t.value,"y",!0)]}function cd(e,t){let n=e.ctx;n.save(),n.fillStyle=de("panel"),n.strokeStyle=de("exemplar"),n.lineWidth=
1.5*devicePixelRatio;for(let r of t){let[o,i]=ud(e,r);n.beginPath(),n.arc(o,i,3.5*devicePixelRatio,0,7),n.fill(),n.stroke()}n.restore()}function fd(e,t,n,r){let[
o,i]=[null,14];for(let l of t){let u=Math.hypot(e.valToPos(l.time_ns/1e9,"x")-n,e.valToPos(l.value,"y")-r);u<i&&([o,i]=[l,u])}return o}function qt(e){let{label:t,
t:n,series:r,format:o,range:i,height:l=150,dots:u,legend:f=!0}=e,d=Pr(),m=_e(null),g=_e(null),_=_e(null),w=_e(e);w.current=e;let x=_e(i);x.current=i;let M=Qt(()=>[
n.map(v=>v/1e9),...r.map(v=>v.values)],[n,r]),$=r.map(v=>`${v.label}|${v.tone}|${v.dash}|${v.fill}`).join(),C=v=>{let k=g.current?.querySelectorAll("[data-value\
]")??[],{series:S,format:V,t:L}=w.current;k.forEach((B,Z)=>{let I=S[Z]?.values??[];B.textContent=V(v===null?ts(I):I[v]??null)});let K=g.current?.querySelector("\
[data-when]");K&&(K.textContent=v===null||L[v]===void 0?"":ke(L[v]/1e6))};return we(()=>{let v=m.current;if(!v)return;let k=new it(id(w.current,{width:v.clientWidth||
300,height:l},x,{draw:[L=>cd(L,w.current.dots??[])],setCursor:[L=>C(L.cursor.idx??null)],setSelect:[L=>{L.select.width<4||mn(L.posToVal(L.select.left,"x")*1e3,L.
posToVal(L.select.left+L.select.width,"x")*1e3)}]}),M,v),S=()=>{let L=fd(k,w.current.dots??[],k.cursor.left??-1,k.cursor.top??-1);L&&w.current.onDot?.(L)};k.over.
addEventListener("click",S),_.current=k;let V=new ResizeObserver(()=>{v.clientWidth&&v.clientWidth!==k.width&&k.setSize({width:v.clientWidth,height:l})});return V.
observe(v),()=>{V.disconnect(),k.destroy(),_.current=null}},[d,$,l,o]),we(()=>{_.current?.setData(M),C(null)},[M,i.from,i.to,u]),s("div",{class:"line",children:[
s("div",{ref:m,role:"img","aria-label":t,class:u?.length?"plot dotted":"plot"}),f&&s("div",{class:"legend",ref:g,children:[r.map(v=>s("span",{hidden:v.thin,children:[
s("i",{class:`swatch tone-${v.tone}${v.dash?" dashed":""}`}),v.label," ",s("b",{"data-value":!0,children:o(ts(v.values))})]},v.label)),s("span",{class:"muted","\
data-when":!0})]})]})}function ts(e){return sr(e.length>2?e.slice(0,-1):e)}function sr(e){for(let t=e.length-1;t>=0;t--){let n=e[t];if(n!=null)return n}return null}
function nn(e,t){return{columns:["time",...t.map(n=>n.label)],rows:e.map((n,r)=>[new Date(n/1e6).toISOString(),...t.map(o=>o.values[r]??null)])}}var zu={ok:["good","ok"],ticket:["fair","ticket"],page:["bad","page"]},Vu=["5m","1h","6h","3d"];function Wu(){let e=Le("/api/slos");return s(z,{children:[s(We,{
title:"SLOs and alerts",answer:e.data?.objectives.length?md(e.data):void 0,exports:{title:"SLOs",csv:e.csv,json:e.json}}),s(je,{answer:e,empty:t=>!t.objectives.
length&&!t.alerts.length,signal:"requests to hold against objectives",children:t=>s(z,{children:[t.alerts.length>0&&s(wd,{data:t}),t.objectives.length>0&&s(dd,{
rows:t.objectives}),!t.alerts.length&&s("p",{class:"absent",children:"No alert is pending or firing."})]})})]})}function md(e){let t=e.objectives.filter(o=>o.state!==
"ok");if(!t.length)return`${e.objectives.length===1?"The one objective is":`All ${e.objectives.length} objectives are`} kept; nothing would page.`;let n=t.find(
o=>o.state==="page")??t[0],r=Vu.map(o=>n?.burn[o]??0);return`${ae(t.length,"objective")} of ${e.objectives.length} burn too fast: ${n?.name} would ${n?.state===
"page"?"page":"open a ticket"}, spending its budget ${lt(Math.max(...r))} times as fast as allowed.`}function pd(e){if(e==null)return s("span",{class:"muted",children:"\
\u2013"});let t=`\xD7${lt(Math.round(e*100)/100)}`;return e>14.4?s(He,{of:"bad",children:t}):e>1?s(He,{of:"fair",children:t}):t}function dd({rows:e}){return s("\
section",{class:"panel flush","aria-label":"Objectives",children:[s(Se,{caption:"Objectives",rows:e,id:t=>t.name,columns:[{name:"Objective",wide:!0,value:t=>t.name,
show:t=>s(z,{children:[s("span",{class:"name",children:t.name})," ",s("span",{class:"muted sub",children:[Fe(t.objective)," over ",J(t.window_s)]})]})},{name:"S\
tate",value:t=>t.state,show:t=>s(He,{of:zu[t.state]?.[0]??"quiet",children:zu[t.state]?.[1]??t.state})},{name:"Good",numeric:!0,value:t=>t.sli,show:t=>hd(t.sli)},
{name:"Budget left",numeric:!0,value:t=>t.budget_left,show:t=>(t.budget_left??1)<0?s(He,{of:"bad",children:Fe(t.budget_left)}):Fe(t.budget_left)},{name:"Budget",
narrow:!0,show:t=>s(Ct,{values:t.budget??[]})},...Vu.map(t=>({name:`Burn ${t}`,numeric:!0,narrow:!0,value:n=>n.burn[t],show:n=>pd(n.burn[t])})),{name:"Of",numeric:!0,
narrow:!0,value:t=>t.total,show:t=>oe(t.total)}]}),s("p",{class:"under muted",children:"Burn \xD71 spends the whole budget in exactly its window; above \xD714.4 over \
1 h and 5 min somebody is paged, above \xD76 over 6 h too."})]})}function hd(e){return e===null?"\u2013":`${(Math.floor(e*1e5)/1e3).toLocaleString("en",{maximumFractionDigits:3})}\
\u202F%`}var gd={firing:"bad",pending:"fair"};function wd({data:e}){return s("section",{class:"panel flush","aria-label":"Alerts",children:s(Se,{caption:"Alerts",
rows:e.alerts,id:(t,n)=>`${t.name}${n}`,columns:[{name:"Alert",wide:!0,value:t=>t.name,show:t=>s(z,{children:[s("span",{class:"name",children:t.name})," ",s("sp\
an",{class:"muted sub",children:t.summary})]})},{name:"State",value:t=>t.state,show:t=>s(He,{of:gd[t.state]??"quiet",children:t.state})},{name:"Severity",value:t=>t.
severity,show:t=>t.severity},{name:"Since",numeric:!0,value:t=>t.since_ns,show:t=>t.since_ns===null?"\u2013":Dn(t.since_ns/1e6,$r())},{name:"Runbook",narrow:!0,
show:t=>t.runbook?s(El,{to:t.runbook,children:"runbook"}):"\u2013"}]})})}function El({to:e,children:t}){return/^(https?:\/\/|\/(?!\/))/.test(e)?s("a",{class:"ou\
tside",href:e,rel:"noreferrer noopener",target:"_blank",children:t}):s("code",{children:e})}function Gu(){let e=Le("/api/health");return s(z,{children:[s(We,{title:"Health of telemetry",answer:e.data&&ju(e.data)?vd(e.data):void 0,exports:{title:"Health\
 of telemetry",csv:e.csv,json:e.json}}),s(je,{answer:e,empty:t=>!ju(t),signal:"telemetry",children:t=>s(z,{children:[s(yd,{data:t}),s(xd,{data:t}),s(kd,{data:t}),
s(Sd,{data:t})]})})]})}function _d(e){return Object.values(e.received).reduce((t,n)=>t+n.items,0)}function ju(e){return _d(e)>0||e.store===null}var bd={error:"b\
ad",critical:"bad",warning:"fair",warn:"fair",info:"good"};function vd(e){return`${e.mistakes.length?`${ae(e.mistakes.length,"mistake")} of instrumentation, the\
 fix beside ${e.mistakes.length===1?"it":"each"}`:"No mistake of instrumentation"}; ${e.gaps.length?ae(e.gaps.length,"gap"):"no gap"} in what arrived.`}function yd({
data:e}){return e.mistakes.length?s($t,{title:"Mistakes",note:"the worst first",children:s(Se,{caption:"Mistakes of instrumentation",rows:e.mistakes,id:(t,n)=>`${t.
id}${t.where}${n}`,columns:[{name:"Grade",show:t=>s(He,{of:bd[t.severity]??"fair",children:t.severity})},{name:"What",wide:!0,show:t=>s(z,{children:[t.what," ",
s("span",{class:"muted sub",children:t.where})]})},{name:"Fix",show:t=>s(z,{children:[t.fix," ",t.docs&&s(El,{to:t.docs,children:"more"})]})}]})}):null}function xd({
data:e}){let t=Object.entries(e.received).map(([o,i])=>({signal:o,...i})),n=o=>Array.isArray(o.per_s)?o.per_s:[],r=o=>Array.isArray(o.per_s)?ts(o.per_s):o.per_s;
return s($t,{title:"Received",children:s(Se,{caption:"Received",rows:t,id:o=>o.signal,columns:[{name:"Signal",wide:!0,show:o=>o.signal},{name:"Items",numeric:!0,
value:o=>o.items,show:o=>oe(o.items)},{name:"Requests",numeric:!0,value:o=>o.requests,show:o=>oe(o.requests)},{name:"Now",numeric:!0,value:r,show:o=>Cr(r(o))},{
name:"Over time",narrow:!0,show:o=>s(Ct,{values:n(o)})}]})})}function kd({data:e}){return e.gaps.length?s($t,{title:"Gaps",note:"a sender that had been heard wa\
s silent",children:s(Se,{caption:"Gaps",rows:e.gaps,id:(t,n)=>String(n),columns:[{name:"Sender",wide:!0,show:t=>s(z,{children:[t.service," ",s("span",{class:"mu\
ted sub mono",children:t.instance})]})},{name:"Signal",show:t=>t.signal},{name:"From",numeric:!0,show:t=>Mt(t.from_ns/1e6)},{name:"To",numeric:!0,narrow:!0,show:t=>ke(
t.to_ns/1e6)},{name:"Length",numeric:!0,show:t=>J((t.to_ns-t.from_ns)/1e9)}]})}):null}function Sd({data:e}){let{store:t}=e;if(!t)return null;let n=typeof t.pruned==
"number"?t.pruned:Object.values(t.pruned).reduce((r,o)=>r+o,0);return s($t,{title:"Store",children:s("dl",{class:"facts",children:[s("div",{children:[s("dt",{children:"\
Size"}),s("dd",{children:[Zn(t.bytes),t.limit?` of ${Zn(t.limit)} (${Fe(t.bytes/t.limit)})`:""]})]}),s("div",{children:[s("dt",{children:"Oldest"}),s("dd",{children:t.
oldest_ns===null?"\u2013":Dn(t.oldest_ns/1e6,$r())})]}),s("div",{children:[s("dt",{children:"Pruned"}),s("dd",{children:[lt(n)," rows"]})]})]})})}var Td=["model","version","service","name","status","duration","severity","event"],Md=/(?:[^\s"]|"[^"]*"?)*$/,$d=/^([^=!<>~"]+)(!=|>=|<=|=|>|<|~)(.*)$/;function qu(e){
return/[\s"]/.test(e)?`"${e.replaceAll('"','\\"')}"`:e}async function Cd(e,t,n){let r=Zt(ct().query,fn()),o={from:An(r.from),to:An(r.to)},i=$d.exec(t);if(i){let[
,f="",d="=",m=""]=i;return(await _n("/api/values",{signal:e,key:f,prefix:m.replaceAll('"',""),...o},n)).values.map(_=>({text:`${f}${d}${qu(String(_.value))} `,shown:String(
_.value),count:_.count}))}let l=await _n("/api/attributes",{signal:e,prefix:t,...o},n);return[...Td.filter(f=>f.startsWith(t)&&!l.keys.some(d=>d.key===f)).map(f=>({
text:`${f}=`,shown:f,count:null})),...l.keys.map(({key:f,count:d})=>({text:`${f}=`,shown:f,count:d}))]}var Pd=12;function ns({signal:e,label:t,example:n}){let r=ct().
query.get("q")??"",[o,i]=re(r),[l,u]=re([]),[f,d]=re(-1),[m,g]=re(!1),_=_e(null),w=Vi();we(()=>i(r),[r]);let x=Md.exec(o)?.[0]??"";we(()=>{if(!m)return;let k=new AbortController,
S=window.setTimeout(async()=>{try{u((await Cd(e,x,k.signal)).slice(0,Pd)),d(-1)}catch{u([])}},80);return()=>{window.clearTimeout(S),k.abort()}},[x,m,e]);let M=k=>{
g(!1),pe({q:k.trim(),cursor:null})},$=k=>{let S=o.slice(0,o.length-x.length)+k.text;i(S),d(-1),_.current?.focus(),k.text.endsWith(" ")&&M(S)},C=k=>{let S=k.key===
"ArrowDown"?1:k.key==="ArrowUp"?-1:0;S&&l.length&&(k.preventDefault(),g(!0),d(L=>(L+S+l.length+(L<0&&S<0?1:0))%l.length));let V=l[f];k.key==="Enter"&&(m&&V?$(V):
M(o)),k.key==="Tab"&&m&&V&&(k.preventDefault(),$(V)),k.key==="Escape"&&g(!1)},v=m&&l.length>0;return s("div",{class:"search",role:"search",children:[s("input",{
ref:_,type:"text","data-search":!0,role:"combobox","aria-label":t,"aria-expanded":v,"aria-controls":`${w}-list`,"aria-activedescendant":v&&f>=0?`${w}-${f}`:void 0,
"aria-autocomplete":"list",autocomplete:"off",spellcheck:!1,placeholder:n,value:o,onInput:k=>{i(k.target.value),g(!0)},onFocus:()=>g(!0),onBlur:()=>g(!1),onKeyDown:C}),
r&&s("button",{type:"button",class:"icon clear","aria-label":"Clear the search",onClick:()=>M(""),children:s("span",{"aria-hidden":"true",children:"\u2715"})}),
s("ul",{id:`${w}-list`,role:"listbox","aria-label":"Completions",hidden:!v,children:l.map((k,S)=>s("li",{id:`${w}-${S}`,role:"option","aria-selected":S===f,onMouseDown:V=>{
V.preventDefault(),$(k)},children:[s("span",{children:k.shown}),k.count!==null&&s("span",{class:"muted",children:k.count.toLocaleString("en")})]},k.text))})]})}
function Vr(e,t,n){let r=typeof n=="object"?JSON.stringify(n):String(n);return`${e} ${t}=${qu(r)}`.trim()}function Wr({label:e,height:t,draw:n,onPoint:r,onPick:o}){let i=Pr(),l=_e(null),u=_e(null),f=_e(n);f.current=n;let d=()=>{let w=l.current,x=w?.getContext("2d");
if(!w||!x||!w.clientWidth)return;let M=window.devicePixelRatio||1;w.width=Math.round(w.clientWidth*M),w.height=Math.round(t*M),x.scale(M,M),x.font="11px system-\
ui, sans-serif",f.current({pen:x,width:w.clientWidth,height:t})};return we(d,[i,n,t]),we(()=>{let w=l.current;if(!w)return;w.style.height=`${t}px`;let x=new ResizeObserver(
d);return x.observe(w),()=>x.disconnect()},[t]),s("div",{class:"canvas",children:[s("canvas",{ref:l,role:"img","aria-label":e,class:o?"pick":void 0,onPointerMove:w=>{
let x=l.current;if(!u.current||!x||!r)return;let M=r(w.offsetX,w.offsetY,x.clientWidth);u.current.textContent=M??"",u.current.hidden=!M;let $=w.offsetX>x.clientWidth/
2;u.current.style.left=$?"":`${w.offsetX+12}px`,u.current.style.right=$?`${x.clientWidth-w.offsetX+12}px`:"",u.current.style.top=`${Math.max(0,w.offsetY-30)}px`},
onPointerLeave:()=>{u.current&&(u.current.hidden=!0)},onClick:w=>o?.(w.offsetX,w.offsetY,l.current?.clientWidth??0)}),s("div",{ref:u,class:"tip",hidden:!0})]})}
function Bu(e,t,n){let r=(t-e)/Math.max(1,n);if(!(r>0)||!Number.isFinite(r))return[e];let o=10**Math.floor(Math.log10(r)),i=[1,2,5,10].map(u=>u*o).find(u=>u>=r)??
r,l=[];for(let u=Math.ceil(e/i)*i;u<=t+i*1e-9;u+=i)l.push(Math.abs(u)<i*1e-9?0:u);return l}var[mo,Ed,Uu]=[52,18,8],Ld=1e4;function Rd(e){let[t,n]=[1/0,0];for(let[,i]of e)i>0&&([t,n]=[Math.min(t,i),Math.max(n,i)]);if(!(n>0))return[-3,0];t=Math.max(t,n/
Ld);let[r,o]=[Math.floor(Math.log10(t)*2)/2,Math.ceil(Math.log10(n)*2+.1)/2];return o>r?[r,o]:[r,r+1]}function Ku({label:e,dots:t,range:n,onOpen:r,height:o=170}){
let[i,l]=Rd(t),u=_e(m=>[0,0]),f=Mr(({pen:m,width:g,height:_})=>{let[w,x]=[g-mo-8,_-Ed-Uu],M=C=>Uu+x-(C-i)/(l-i)*x;u.current=([C,v])=>[mo+(C/1e6-n.from)/(n.to-n.
from)*w,M(Math.max(i,Math.log10(Math.max(v,1e-9))))],m.textBaseline="middle",m.textAlign="right";for(let C=Math.ceil(i*2)/2;C<=l;C+=l-i>3?1:.5)m.fillStyle=de("g\
rid"),m.fillRect(mo,Math.round(M(C)),w,1),m.fillStyle=de("muted"),m.fillText(J(Number((10**C).toPrecision(1))),mo-6,M(Math.log10(Number((10**C).toPrecision(1)))));
m.textBaseline="bottom",m.textAlign="left";let $=Math.max(2,Math.floor(w/110));for(let C=0;C<$;C++)m.fillText(Oo(n.from+(n.to-n.from)*C/$,(n.to-n.from)/$),mo+w*
C/$,_);Ad(m,t,u.current)},[t,n.from,n.to]),d=(m,g)=>{let[_,w]=[null,16];for(let x of t){let[M,$]=u.current(x),C=Math.hypot(M-m,$-g);C<w&&([_,w]=[x,C])}return _};
return s(Wr,{label:e,height:o,draw:f,onPoint:(m,g)=>{let _=d(m,g);return _&&`${ke(_[0]/1e6,!0)}  ${J(_[1])}${_[2]?"  error":""}`},onPick:(m,g)=>{let _=d(m,g);_&&
r(_[3])}})}function Ad(e,t,n){e.globalAlpha=t.length>600?.45:.75,e.fillStyle=de("now");for(let r of t){if(r[2])continue;let[o,i]=n(r);e.beginPath(),e.arc(o,i,2.2,
0,7),e.fill()}e.globalAlpha=1,e.fillStyle=de("bad-mark");for(let r of t){if(!r[2])continue;let[o,i]=n(r);e.fillRect(o-3,i-3,6,6)}}var Ll=["q","service","model","name","errors","min_s","max_s","cursor"],Dd=100;function Ju(){let{query:e}=Ve(),t=Object.fromEntries(Ll.map(r=>[r,e.get(r)])),n=Le(
"/api/traces",{...t,limit:Dd});return s(z,{children:[s(We,{title:"Traces",answer:n.data?Hd(n.data,vn(n)):void 0,exports:{title:"Traces",csv:n.csv,json:n.json}}),
s(Id,{slow:Fd(n.data)}),s(je,{answer:n,empty:r=>!r.traces.length&&!r.next,signal:Yu(e)?"traces that match":"traces",clear:Yu(e)?Od:void 0,children:r=>s(z,{children:[
s(ft,{title:"Durations",note:`${Nd(r)}; a click opens it`,grid:()=>zd(r),children:s(Ku,{label:`Durations of ${oe(r.scatter.length)} traces over time`,dots:r.scatter,
range:n.range,onOpen:o=>It(ee(`/trace/${o}`))})}),s(Vd,{data:r})]})})]})}function Yu(e){return Ll.some(t=>e.get(t))}function Od(){pe(Object.fromEntries(Ll.map(e=>[
e,null])))}function Hd(e,t){if(!e.total)return;let n=e.scatter.filter(l=>l[2]).length,r=e.scatter.reduce((l,u)=>Math.max(l,u[1]),0),o=e.scatter.length>=e.total,
i=n?`${o?"":"at least "}${ae(n,"trace")} with errors`:o?"none with errors":"no errors among those drawn";return`${ae(e.total,"trace")} ${t}, ${i}; the slowest ${e.
share<1?"of those drawn ":""}took ${J(r)}.`}function Nd(e){if(!e.total)return"none found so far";if(e.scatter.length>=e.total)return"every trace";let t=e.share<
1?` of one span in ${oe(Math.round(1/e.share))}`:"";return`${oe(e.scatter.length)} of ${oe(e.total)}, the slowest${t} kept`}function Fd(e){let t=(e?.scatter??[]).
map(r=>r[1]).sort((r,o)=>r-o),n=t[Math.floor(t.length*.95)];return n===void 0?null:Number(n.toPrecision(2))}function Id({slow:e}){let{query:t}=Ve(),[n,r,o]=[t.get(
"errors"),t.get("min_s"),t.get("model")];return s("div",{class:"filters",children:[s(ns,{signal:"traces",label:"Search traces",example:"model=delay status=error\
 duration>50ms http.route~predict"}),s("button",{type:"button",class:"toggle","aria-pressed":!!n,onClick:()=>pe({errors:n?null:1,cursor:null}),title:"Errors onl\
y (e)",children:"Errors only"}),s("button",{type:"button",class:"toggle","aria-pressed":!!r,disabled:!r&&e===null,onClick:()=>pe({min_s:r?null:e,cursor:null}),children:r?
`Slow only: from ${J(Number(r))}`:"Slow only"}),o&&s("button",{type:"button",class:"toggle","aria-pressed":"true",onClick:()=>pe({model:null,cursor:null}),children:[
o," ",s("span",{"aria-hidden":"true",children:"\u2715"})]})]})}function zd(e){return{columns:["time","duration (s)","error","trace"],rows:e.scatter.map(([t,n,r,
o])=>[new Date(t/1e6).toISOString(),n,r,o])}}function Vd({data:e}){let[t,n]=re([]),r=Math.max(...e.traces.map(l=>l.duration_s),1e-9),o=l=>n(u=>u.includes(l)?u.filter(
f=>f!==l):[...u.slice(-1),l]);return s("section",{class:"panel flush","aria-label":"Traces",children:[s(Se,{caption:"Traces",columns:[{name:"Time",value:l=>l.start_ns,
show:l=>s("span",{class:"muted",children:ke(l.start_ns/1e6,!0)})},{name:"Trace",wide:!0,value:l=>l.name,show:l=>s(z,{children:[s(ie,{to:ee(`/trace/${l.trace_id}`),
"data-row":!0,class:"name",children:l.name||"(no name)"})," ",s("span",{class:"muted sub",children:l.services.join(", ")||l.service})]})},{name:"Model",narrow:!0,
value:l=>`${l.model} ${l.version}`,show:l=>l.model&&s(ie,{class:"one-line",to:ee(Nn(l.model,l.version??"")),children:`${l.model} ${l.version??""}`.trim()})},{name:"\
Spans",numeric:!0,narrow:!0,value:l=>l.spans,show:l=>oe(l.spans)},{name:"Errors",numeric:!0,narrow:!0,value:l=>l.errors,show:l=>l.errors?s(He,{of:"bad",children:oe(
l.errors)}):s("span",{class:"muted",children:"0"})},{name:"Length",narrow:!0,show:l=>s(Hn,{of:l.duration_s/r,tone:l.errors?"bad-mark":"now"})},{name:"Duration",
numeric:!0,value:l=>l.duration_s,show:l=>J(l.duration_s)},{name:"Pick",narrow:!0,show:l=>s("input",{type:"checkbox","aria-label":`Compare ${l.name} of ${ke(l.start_ns/
1e6,!0)}`,checked:t.includes(l.trace_id),onChange:()=>o(l.trace_id)})}],rows:e.traces,id:l=>l.trace_id,tone:l=>l.errors?"failed":void 0}),s("p",{class:"under",children:[
t.length===2?s(ie,{class:"button",to:ee("/compare-traces",{a:t[0],b:t[1]}),children:"Compare the two"}):s("span",{class:"muted narrow",children:"Pick two to com\
pare them."}),s(Rl,{next:e.next,shown:e.traces.length,total:e.total})]})]})}function Rl({next:e,shown:t,total:n}){let{query:r}=Ve();return s("span",{class:"page\
s",children:[s("span",{class:"muted",children:[oe(t)," of ",oe(n)]}),r.get("cursor")&&s("button",{type:"button",class:"button",onClick:()=>pe({cursor:null}),children:"\
Newest"}),e!=null&&e!==""&&s("button",{type:"button",class:"button",onClick:()=>pe({cursor:e}),children:"Older"})]})}var Al=["q","severity","service","event","trace_id","cursor"],rs=200;function Qu(){let{query:e}=Ve(),t=Object.fromEntries(Al.map(i=>[i,e.get(i)])),n=Le("/api/lo\
gs",{...t,limit:rs}),{data:r}=n,o=Al.some(i=>e.get(i));return s(z,{children:[s(We,{title:"Logs",answer:r?qd(r,vn(n)):void 0,exports:{title:"Logs",csv:n.csv,json:n.
json}}),s(Bd,{}),s(je,{answer:n,empty:i=>!i.logs.length,signal:o?"logs that match":"logs",clear:o?Wd:void 0,children:i=>s(z,{children:[s(Yd,{data:i,range:n.range}),
s(Qd,{data:i,filters:t,live:n.range.live&&!e.get("cursor")})]})})]})}function Wd(){pe(Object.fromEntries(Al.map(e=>[e,null])))}var jd=[["","Any severity"],["deb\
ug","DEBUG and above"],["info","INFO and above"],["warn","WARN and above"],["error","ERROR and above"]];function Gd(e){return Object.entries(e.counts?.by_severity??
{}).filter(([n])=>/^(error|fatal|critical)/i.test(n)).reduce((n,[,r])=>n+r.reduce((o,i)=>o+(i??0),0),0)}function qd(e,t){if(!e.total)return;let n=Gd(e);return`${ae(
e.total,"line")} ${t}${e.counts?`, ${n?`${oe(n)} of them errors`:"none an error"}`:""}.`}function Bd(){let{query:e}=Ve(),t=e.get("trace_id");return s("div",{class:"\
filters",children:[s(ns,{signal:"logs",label:"Search logs",example:"severity=ERROR ml.model.name=delay words of the line"}),s("select",{"aria-label":"Severity",
value:e.get("severity")??"",onChange:n=>pe({severity:n.target.value,cursor:null}),children:jd.map(([n,r])=>s("option",{value:n,children:r},n))}),t&&s("button",{
type:"button",class:"toggle","aria-pressed":"true",onClick:()=>pe({trace_id:null,cursor:null}),children:["trace ",t.slice(0,8)," ",s("span",{"aria-hidden":"true",
children:"\u2715"})]})]})}var Ud=["fatal","error","warn","info","debug","trace"];function Kd(e){let t=Ud.find(n=>e.toLowerCase().startsWith(n));return t==="fata\
l"||t==="error"?"bad-mark":t==="warn"?"fair":t==="info"?"now":"other"}function Yd({data:e,range:t}){if(!e.counts?.t.length)return null;let{t:n,by_severity:r}=e.
counts,o=Object.entries(r).map(([i,l])=>({label:i||"unset",values:l,tone:Kd(i),fill:!0}));return s(ft,{title:"Lines over time",note:"by severity",grid:()=>nn(n,
o),children:s(qt,{label:"Log lines over time by severity",t:n,series:o,format:lt,range:t,height:90})})}function Jd(e,t,n){let{version:r}=Ft(),[o,i]=re(null),[l,
u]=re(0),f=o??e,d=f.logs[0]?.id,m=_e(!1);return we(()=>{!o||!n||d===void 0||m.current||(m.current=!0,_n("/api/logs",{...t,tail_after:d,limit:rs}).then(g=>u(g.logs.
length)).catch(()=>{}).finally(()=>{m.current=!1}))},[r?.arrivals,o]),{logs:f.logs,waiting:l,paused:o!==null,pause:()=>{u(0),i(o?null:e)}}}function Qd({data:e,filters:t,
live:n}){let r=Jd(e,t,n),[o,i]=re(null);return s("section",{class:"panel flush","aria-label":"Lines",children:[s("div",{class:"caption",children:[s("h2",{children:"\
Lines"}),s("span",{class:"muted note",children:["newest first",r.paused?", paused":""]}),n&&s("button",{type:"button",class:"toggle small-toggle","aria-pressed":r.
paused,onClick:r.pause,children:r.paused?`Paused: ${r.waiting>=rs?`${rs} or more`:oe(r.waiting)} new`:"Pause the tail"})]}),s("ol",{class:"logs",children:r.logs.
map(l=>s(Zd,{log:l,open:l.id===o,onOpen:()=>i(l.id===o?null:l.id)},String(l.id)))}),s("p",{class:"under",children:s(Rl,{next:e.next,shown:r.logs.length,total:e.
total})})]})}function Zd({log:e,open:t,onOpen:n}){let{query:r}=Ve(),o=(l,u)=>pe({q:Vr(r.get("q")??"",l,u),cursor:null}),i=e.severity_text||String(e.severity||"");
return s("li",{class:t?"open":void 0,children:[s("div",{class:"log",children:[s("span",{class:"muted time",children:ke(e.time_ns/1e6,!0)}),s("span",{class:"leve\
l",children:e.severity>=13?s(He,{of:e.severity>=17?"bad":"fair",children:i}):s("span",{class:"muted",children:i})}),s("button",{type:"button",class:"plain body",
"data-row":!0,"aria-expanded":t,onClick:n,children:[e.event_name&&s("span",{class:"event-name",children:[e.event_name," "]}),Vt(e.body),!e.body&&!e.event_name&&
s("span",{class:"muted",children:"(empty)"})]}),s("span",{class:"muted small service",children:e.service}),e.trace_id?s(ie,{class:"mono small",to:ee(`/trace/${e.
trace_id}`,{span:e.span_id}),"aria-label":`Trace ${e.trace_id.slice(0,8)}`,children:e.trace_id.slice(0,8)}):s("span",{})]}),t&&s("div",{class:"log-detail",children:[
s(Er,{of:e.attributes,onPick:o}),s("h3",{children:"Resource"}),s(Er,{of:e.resource,onPick:o})]})]})}var[Xd,eh,Zu]=[52,18,4];function Dl(e){let t=0;for(let n of e)for(let r of n)t=Math.max(t,r??0);return t}function th(e,t){let[n,r]=[t,-1];for(let o of e)o.forEach(
(i,l)=>{i&&([n,r]=[Math.min(n,l),Math.max(r,l)])});return r<0?[0,t]:[Math.max(0,n-1),Math.min(t,r+2)]}function nh(e,t,n){let r=(i,l)=>parseInt(i.slice(1+l*2,3+l*
2),16);return`rgb(${[0,1,2].map(i=>Math.round(r(e,i)+(r(t,i)-r(e,i))*n)).join(",")})`}function Xu(e,t,n){let[r,o]=[e[t],e[t+1]],i=l=>l==null||!Number.isFinite(l)||
Math.abs(l)>1e300;return i(r)?`\u2264 ${n(o)}`:i(o)?`> ${n(r)}`:`${n(r)} \u2013 ${n(o)}`}function os({label:e,t,edges:n,counts:r,format:o,height:i=150,most:l,axis:u=!0}){
let f=n.length-1,[d,m]=th(r,f),g=u?Xd:0,_=u?eh:0,w=Mr(({pen:M,width:$,height:C})=>{let[v,k]=[($-g)/Math.max(1,t.length),(C-_-Zu)/Math.max(1,m-d)],S=l??Dl(r),[V,
L]=[de("heat-0"),de("heat-1")];if(r.forEach((E,F)=>{for(let A=d;A<m;A++){let Y=E[A]??0;M.fillStyle=Y?nh(V,L,.15+.85*Math.sqrt(Y/S)):de("heat-none");let W=Math.round(
g+F*v),te=Math.round(C-_-(A-d+1)*k),[j,at]=[Math.round(g+(F+1)*v),Math.round(C-_-(A-d)*k)];M.fillRect(W,te,j-W-(v>6?1:0),at-te-(k>6?1:0))}}),!u)return;M.fillStyle=
de("muted"),M.textBaseline="middle",M.textAlign="right";let K=Math.max(1,Math.ceil(20/k));for(let E=d;E<=m;E+=K){let F=n[E];F!=null&&Number.isFinite(F)&&Math.abs(
F)<1e300&&M.fillText(o(F),g-6,Math.max(6,C-_-(E-d)*k))}M.textBaseline="bottom",M.textAlign="left";let B=Math.max(1,Math.ceil(70/v)),Z=((t[1]??0)-(t[0]??0))/1e6*
B,I="";for(let E=0;E<t.length-B*.7;E+=B){let F=Oo((t[E]??0)/1e6,Z);F!==I&&M.fillText(F,g+E*v,C),I=F}},[t,n,r,l,u,o]);return s(Wr,{label:e,height:i,draw:w,onPoint:(M,$,C)=>{
let v=Math.floor((M-g)/(C-g)*t.length),k=d+Math.floor((i-_-$)/(i-_-Zu)*(m-d));return v<0||v>=t.length||k<d||k>=m?null:`${ke((t[v]??0)/1e6)}  ${Xu(n,k,o)}: ${oe(
r[v]?.[k]??0)}`}})}function ss(e,t,n,r){let o=t.slice(1).map((i,l)=>Xu(t,l,r));return{columns:["time",...o],rows:e.map((i,l)=>[new Date(i/1e6).toISOString(),...o.
map((u,f)=>n[l]?.[f]??0)])}}var ec=["now","stage-2","stage-3","good","bad-mark","now-strong","other","fair"],tc={p50:"p50",p95:"p95",p99:"p99",mean:"Mean",rate:"Per second",value:"Value"},
Ol="*";function nc({name:e}){let{query:t}=Ve(),[n,r,o]=[t.get("by"),t.get("where"),t.get("stat")],i=Le("/api/metric",{name:e,by:n,where:r,stat:o}),l=i.data?.stats.
includes("heatmap")??!1,u=Le("/api/metric",{name:e,by:n,where:r,stat:"heatmap"},{skip:!l}),{data:f}=i,d=f?.stat??"value",m=bn(f?.unit??"",d==="rate");return s(z,
{children:[s(We,{title:e,answer:f?.series.length?rh(f,d,m,vn(i)):void 0,exports:{title:e,csv:i.csv,json:i.json}}),f?.description&&s("p",{class:"muted described",
children:f.description}),s(oh,{name:e,data:f,stat:d}),s(je,{answer:i,empty:g=>!g.series.length&&!g.heatmap,signal:`points of ${e}`,children:g=>s(z,{children:[s(
sh,{data:g,answer:i,stat:d,format:m,exemplars:u.data?.exemplars??g.exemplars??[]}),u.data&&s(lh,{data:u.data}),s(ih,{data:g,format:m}),s(uh,{data:u.data?.exemplars??
g.exemplars??[],format:bn(g.unit)})]})})]})}function rh(e,t,n,r){let o=e.series.map(u=>[u.label,sr(u.values)]).filter(([,u])=>u!==null),i=o.sort((u,f)=>(f[1]??0)-
(u[1]??0))[0],l=e.folded?`; ${oe(e.folded)} more of smaller values are left out`:"";return i?o.length>1?`${ae(e.series.length,"series","series")}${l}; the highe\
st ${t} now is ${n(i[1])}, of ${i[0]}.`:`${t==="value"?"Now":`The ${t} now is`} ${n(i[1])}${l}.`:`Nothing ${r}.`}function oh({name:e,data:t,stat:n}){let{query:r}=Ve(),
o=r.get("by")??"",i=Le("/api/metric",{name:e,by:Ol},{still:!0}),l=[...t?.series??[],...i.data?.series??[]],u=[...new Set(l.flatMap(m=>Object.keys(m.attributes)))].
sort(),[f="",d=""]=(r.get("where")??"").split(/=(.*)/s);return s("div",{class:"filters",children:[s("select",{"aria-label":"Statistic",value:n,onChange:m=>pe({stat:m.
target.value}),children:(t?.stats??[n]).filter(m=>m in tc).map(m=>s("option",{value:m,children:tc[m]},m))}),s("select",{"aria-label":"Split by",value:o,onChange:m=>pe(
{by:m.target.value}),children:[s("option",{value:"",children:"All together"}),s("option",{value:Ol,children:"Each series"}),o&&o!==Ol&&!u.includes(o)&&s("option",
{value:o,children:["by ",o]}),u.map(m=>s("option",{value:m,children:["by ",m]},m))]}),f&&s("button",{type:"button",class:"toggle","aria-pressed":"true",onClick:()=>pe(
{where:null}),children:[f," = ",d," ",s("span",{"aria-hidden":"true",children:"\u2715"})]})]})}function sh({data:e,answer:t,stat:n,format:r,exemplars:o}){let i=Qt(
()=>e.series.slice(0,ec.length).map((f,d)=>({label:f.label||"all together",values:f.values,tone:ec[d]??"other"})),[e]),l=n==="rate"||n==="value"?[]:o,u=[n,e.series.
length>i.length?`the first ${i.length} of ${e.series.length} series`:"",l.length?"a dot opens its trace":""].filter(Boolean).join("; ");return s(ft,{title:"Over\
 time",note:u,grid:()=>nn(e.t,e.series),children:s(qt,{label:`${e.name} over time`,t:e.t,series:i,format:r,range:t.range,height:220,dots:l,onDot:f=>It(ee(`/trac\
e/${f.trace_id}`))})})}function lh({data:e}){if(!e.heatmap?.t.length)return null;let{t,edges:n,counts:r}=e.heatmap,o=bn(e.unit);return s(ft,{title:"Distribution",
note:"stronger is more",grid:()=>ss(t,n,r,o),children:s(os,{label:`Distribution of ${e.name} over time`,t,edges:n,counts:r,format:o,height:200})})}function ih({
data:e,format:t}){return s("section",{class:"panel flush","aria-label":"Series",children:s(Se,{caption:"Series",rows:e.series,id:(n,r)=>`${n.label}${r}`,columns:[
{name:"Series",wide:!0,value:n=>n.label,show:n=>s(ah,{of:n.attributes,label:n.label})},{name:"Over time",narrow:!0,show:n=>s(Ct,{values:n.values,fill:!1})},{name:"\
Now",numeric:!0,value:n=>sr(n.values),show:n=>t(sr(n.values))}]})})}function ah({of:e,label:t}){let n=Object.entries(e);return n.length?s("span",{class:"labels",
children:n.map(([r,o])=>s("button",{type:"button",class:"plain",title:`Only ${r}=${Vt(o)}`,onClick:()=>pe({where:Vr("",r,o)}),children:[s("span",{class:"muted",
children:[r,"="]}),Vt(o)]},r))}):s(z,{children:t||"all together"})}function uh({data:e,format:t}){if(!e.length)return null;let n=[...e].sort((r,o)=>o.value-r.value).
slice(0,20);return s("section",{class:"panel flush","aria-label":"Exemplars",children:[s("div",{class:"caption",children:[s("h2",{children:"Exemplars"}),s("span",
{class:"muted note",children:"requests behind these numbers, the largest first"})]}),s(Se,{caption:"Exemplars",rows:n,id:(r,o)=>`${r.trace_id}${o}`,columns:[{name:"\
Trace",show:r=>s(ie,{class:"mono","data-row":!0,to:ee(`/trace/${r.trace_id}`),children:r.trace_id.slice(0,8)})},{name:"Time",show:r=>ke(r.time_ns/1e6,!0)},{name:"\
Of",wide:!0,show:r=>s("span",{class:"muted",children:r.label})},{name:"Value",numeric:!0,show:r=>t(r.value)}]})]})}var ch=1e3;function rc(){let e=Le("/api/metrics"),[t,n]=re(""),r=e.data?.metrics??[],o=t.toLowerCase().split(/\s+/).filter(Boolean),i=r.filter(l=>o.every(u=>`${l.
name} ${l.description} ${l.services.join(" ")}`.toLowerCase().includes(u)));return s(z,{children:[s(We,{title:"Metrics",answer:r.length?fh(r):void 0,exports:{title:"\
Metrics",csv:e.csv,json:e.json}}),s("div",{class:"filters",children:s("div",{class:"search",role:"search",children:s("input",{type:"text","data-search":!0,"aria\
-label":"Search metrics",placeholder:"words of the name, what it says or the service",value:t,onInput:l=>n(l.target.value)})})}),s(je,{answer:e,empty:l=>!l.metrics.
length,signal:"metrics",children:()=>s("section",{class:"panel flush","aria-label":"Metrics",children:[s(Se,{caption:"Metrics",rows:i,id:l=>`${l.name}
${l.unit}
${l.kind}`,columns:[{name:"Metric",wide:!0,value:l=>l.name,show:l=>s(z,{children:[s(ie,{to:ee(`/metric/${Rn(l.name)}`),"data-row":!0,class:"name",children:l.name}),
" ",s("span",{class:"muted sub",children:l.description})]})},{name:"Kind",value:l=>l.kind,show:l=>l.kind},{name:"Unit",value:l=>l.unit,show:l=>l.unit},{name:"Se\
ries",numeric:!0,value:l=>l.series,show:l=>l.series>=ch?s(He,{of:"fair",children:oe(l.series)}):oe(l.series)},{name:"Services",narrow:!0,value:l=>l.services.join(),
show:l=>s("span",{class:"muted",children:l.services.join(", ")})}]}),!i.length&&s("p",{class:"under muted",children:"No metric has these words."})]})})]})}function fh(e){
let t=e.reduce((r,o)=>r+o.series,0),n=e.reduce((r,o)=>o.series>r.series?o:r);return`${ae(e.length,"metric")} in ${ae(t,"series","series")}; ${n.name} has the mo\
st, ${oe(n.series)}.`}var[mh,Hl]=[350,10];function oc({items:e}){let t=_e(null),[n,r]=re(0);return we(()=>{let o=t.current;if(!o)return;let i=()=>r(Math.max(1,Math.floor((o.clientWidth+
Hl)/(mh+Hl)))),l=new ResizeObserver(i);return l.observe(o),i(),()=>l.disconnect()},[]),s("div",{class:"columns",ref:t,children:ph(e,n).map((o,i)=>s("div",{class:"\
column",children:o.map(l=>s("div",{children:l.show},l.name))},i))})}function ph(e,t){let n=Array.from({length:t},()=>({height:0,items:[]}));for(let r of e){let o=n.
reduce((i,l)=>l.height<i.height?l:i,n[0]??{height:0,items:[]});o.items.push(r),o.height+=r.height+Hl}return n.map(r=>r.items)}function sc(e){let t=e.reduce((n,r)=>n+(r??0),0);return e.map(n=>t?(n??0)/t:0)}function lc({label:e,bins:t,reference:n,now:r,height:o=64}){let[i,l]=[sc(n),sc(r)],
u=Math.max(i.length,l.length,1),f=Math.max(...i,...l,1e-9),d=Mr(({pen:g,width:_,height:w})=>{let x=_/u,M=($,C,v,k)=>{g.fillStyle=de(v);let S=$/f*(w-4);g.fillRect(
C*x+k,w-1-S,Math.max(1,x-2*k),S)};i.forEach(($,C)=>M($,C,"ref",x>8?1:0)),l.forEach(($,C)=>M($,C,"now",x*.28)),g.fillStyle=de("line"),g.fillRect(0,w-1,_,1)},[n,r,
o]);return s(Wr,{label:e,height:o,draw:d,onPoint:(g,_,w)=>{let x=Math.floor(g/w*u);return x<0||x>=u?null:`${ls(t,x,u)}: reference ${Fe(i[x])}, now ${Fe(l[x])}`}})}
function ls(e,t,n){return e.length===n?String(e[t]??t):e.length===n+1?`${jr(e[t])} \u2013 ${jr(e[t+1])}`:e.length===n-1?t===0?`< ${jr(e[0])}`:t===n-1?`\u2265 ${jr(
e[t-1])}`:`${jr(e[t-1])} \u2013 ${jr(e[t])}`:`bin ${t+1}`}function jr(e){return typeof e=="number"?Number(e.toPrecision(4)).toLocaleString("en"):String(e??"")}function uc({data:e}){if(!e.classes?.length)return null;let t=e.classes.reduce((n,r)=>n+r.rows,0)||1;return s($t,{title:"Class mix",note:`what it answered, of ${ae(
t,"row")}`,children:s(Se,{caption:"Class mix",rows:e.classes,id:n=>n.class,columns:[{name:"Class",wide:!0,show:n=>n.class||"(none)",value:n=>n.class},{name:"Sha\
re",show:n=>s(Hn,{of:n.rows/t}),value:n=>n.rows},{name:"%",numeric:!0,show:n=>Fe(n.rows/t)},{name:"Rows",numeric:!0,show:n=>oe(n.rows),value:n=>n.rows},{name:"O\
ver time",narrow:!0,show:n=>s(Ct,{values:n.per_s??[]})}]})})}var ic=e=>lt(e==null?null:Math.round(e*100)/100);function cc({data:e}){let t=(e.confidence??[]).filter(
i=>i.t.length&&i.edges.length>1);if(!t.length)return null;let n=Math.max(...t.map(i=>Dl(i.counts)),1),r=t.length>2?84:120;return s(ft,{title:"Confidence by clas\
s",note:"over time; stronger is more",grid:()=>{let i=t.map(l=>ss(l.t,l.edges,l.counts,ic));return{columns:["class",...i[0]?.columns??[]],rows:i.flatMap((l,u)=>l.
rows.map(f=>[t[u]?.class??"",...f]))}},children:t.slice(0,8).map(i=>s("div",{class:"multiple",children:[s("h3",{children:i.class||"all classes"}),s(os,{label:`C\
onfidence of class ${i.class} over time`,t:i.t,edges:i.edges,counts:i.counts,format:ic,most:n,height:r})]},i.class))})}function ac(e){return{columns:["feature",
"kind","psi","psi by chance","js","ks","drifted","missing","missing in reference"],rows:e.map(t=>[t.feature,t.kind,t.psi,t.psi_bias,t.js,t.ks,String(t.detected??
""),t.missing_share,t.reference_missing_share])}}function fc({data:e}){let[t,n]=re(!1),[r,o]=re(!1),i=_e(null),l=[...e.drift??[]].sort((d,m)=>Number(m.detected)-
Number(d.detected)||(m.psi??0)-(d.psi??0));if(!l.length)return null;let u=l.filter(d=>d.detected).length,f=r?l:l.slice(0,12);return s("section",{class:"panel sp\
an",ref:i,children:[s("div",{class:"caption",children:[s("h2",{children:"Drift"}),s("span",{class:"muted note",children:[u?`${ae(u,"feature")} of ${l.length} mo\
ved`:`none of ${ae(l.length,"feature")} moved`," ","\xB7 ",s("i",{class:"swatch tone-ref"}),"reference ",s("i",{class:"swatch tone-now"}),"now"]}),s(On,{title:"\
Drift",...t?{}:{chart:()=>i.current},grid:()=>ac(l),table:{shown:t,toggle:()=>n(!t)}})]}),t?s(Zs,{caption:"Drift by feature",grid:ac(l)}):s("div",{class:"multip\
les",children:f.map(d=>s(dh,{of:d},d.feature))}),l.length>f.length&&!t&&s("button",{type:"button",class:"button",onClick:()=>o(!0),children:["All ",l.length," f\
eatures"]})]})}function dh({of:e}){let[t,n]=[e.reference??[],e.now??[]],r=Math.max(t.length,n.length),o=e.kind==="number"?e.bins.map(f=>String(f).replace(/^\d+ /,
"")):e.bins,i=o.filter(f=>f!=="missing").length,l=ls(o,0,r),u=i>1?ls(o,Math.min(i,r)-1,r):"";return s("figure",{class:"feature",children:[s("figcaption",{children:[
s("h3",{title:e.feature,children:e.feature}),e.detected===null?s("span",{class:"muted",children:["PSI ",lt(is(e.psi))]}):s(He,{of:e.detected?"bad":"quiet",children:[
"PSI ",lt(is(e.psi))]}),e.psi_bias!==null&&s("span",{class:"muted",title:"What PSI is on average of samples of this size when nothing has moved",children:[" ",lt(
is(e.psi_bias))," by chance"]})]}),s(lc,{label:`${e.feature}: reference against now, PSI ${is(e.psi)??"unknown"}`,bins:o,reference:t,now:n}),s("p",{class:"ends \
muted",children:[s("span",{children:l}),s("span",{children:u})]}),s("p",{class:"ends muted",children:[s("span",{children:e.missing_share?`missing ${Fe(e.missing_share)}\
, was ${Fe(e.reference_missing_share)}`:"none missing"}),e.psi_t&&e.psi_t.length>1&&s(Ct,{values:e.psi_t,width:56,height:14,fill:!1})]})]})}function is(e){return e===
null?null:Math.round(e*1e3)/1e3}function mc({data:e,range:t}){if(!e.missing?.t.length)return null;let n=[{label:"missing",values:e.missing.per_row,tone:"now",fill:!0}],
{t:r}=e.missing;return s(ft,{title:"Missing values",note:"in a row, on average",grid:()=>nn(r,n),children:s(qt,{label:"Missing values in a row, on average",t:r,
series:n,format:lt,range:t,height:110})})}var Nl=/^(estimated_)?(accuracy|mae|rmse)(_lower|_upper)?$/;function hh(e,t){let n=[];for(let[r,o]of Object.entries(e))
Nl.test(r)&&n.push({label:r,values:o,tone:"now"});for(let[r,o]of Object.entries(t)){let i=`${r.replace("estimated_","")}, estimated`.replace("_"," ");Nl.test(r)&&
n.push({label:i,values:o,tone:"estimate",dash:!0,thin:/_(lower|upper)$/.test(r)})}return n}function pc({data:e,range:t}){let n=e.quality;if(!n?.t.length)return null;
let r=Object.entries({...n.measured,...n.estimated}),o=hh(n.measured,n.estimated),i=r.filter(([f])=>!Nl.test(f)),l=r.every(([,f])=>f.every(d=>d===null||d>=0&&d<=
1))?Fe:lt,u=[n.outcomes!==null?ae(n.outcomes,"outcome"):"",n.delay_p50_s!==null?`half of them within ${J(n.delay_p50_s)}`:""].filter(Boolean).join(", ");return s(
ft,{title:"Quality",note:u||"measured against estimated",grid:()=>nn(n.t,r.map(([f,d])=>({label:f,values:d}))),children:[o.length>0&&s(qt,{label:"Quality, measu\
red and estimated",t:n.t,series:o,format:l,range:t,height:130,from0:!1}),i.length>0&&s("table",{class:"plain-table",children:[s("caption",{class:"hidden",children:"\
Other measures of quality"}),s("tbody",{children:i.map(([f,d])=>s("tr",{children:[s("th",{scope:"row",children:f.replaceAll("_"," ")}),s("td",{children:s(Ct,{values:d,
fill:!1,height:14})}),s("td",{class:"num",children:l(sr(d))})]},f))})]})]})}function dc({data:e,range:t}){return s(z,{children:(e.gpus??[]).filter(n=>n.t.length).
map(n=>s(wh,{of:n,range:t},n.id))})}var gh=bn("\xB0C");function wh({of:e,range:t}){let n=Array.isArray(e.memory_limit)?e.memory_limit.at(-1):e.memory_limit,r=[];
return e.utilization&&r.push(["utilization",e.utilization,Fe,1]),e.memory_used&&r.push(["memory",e.memory_used,Zn,n??void 0]),e.temperature&&r.push(["temperatur\
e",e.temperature,gh,void 0]),s(ft,{title:`GPU ${e.id}`,note:e.name,grid:()=>nn(e.t,r.map(([o,i])=>({label:o,values:i}))),children:r.map(([o,i,l,u])=>s(qt,{label:`\
GPU ${o}`,t:e.t,series:[{label:o,values:i,tone:"now"}],format:l,range:t,height:80,...u===void 0?{}:{top:u}},o))})}function gc({model:e,version:t}){let n=Le("/api/model",{model:e,version:t}),{data:r}=n;return s(z,{children:[s(We,{title:s(z,{children:[e," ",s("span",{class:"v\
ersion",children:t})]}),answer:r?.answer??void 0,exports:{title:`Model ${e} ${t}`,csv:n.csv,json:n.json},children:s(bh,{model:e,version:t,versions:r?.versions??
[]})}),s(je,{answer:n,empty:_h,signal:`predictions of ${e} ${t}`,children:o=>s(vh,{data:o,range:n.range,within:vn(n)})})]})}function _h(e){return!e.traffic?.t.length&&
!e.latency?.t.length&&!e.stages?.length&&!e.slowest?.length}function bh({model:e,version:t,versions:n}){let r=n.filter(o=>o!==t);return r.length?s("span",{class:"\
actions",children:[s("select",{"aria-label":"Version",value:t,onChange:o=>It(ee(Nn(e,o.target.value))),children:n.map(o=>s("option",{value:o,children:["version ",
o]},o))}),s(ie,{class:"button",to:ee(`/compare/${Rn(e)}`,{a:r[0],b:t}),children:"Compare versions"})]}):null}function vh({data:e,range:t,within:n}){let r=Math.min(
e.classes?.length??0,12),o=[["traffic",e.traffic?.t.length,230,s(yh,{data:e,range:t})],["latency",e.latency?.t.length,230,s(xh,{data:e,range:t})],["stages",e.stages?.
length,280,s(kh,{data:e,range:t,within:n})],["slowest",e.slowest?.length,200,s(Th,{data:e})],["classes",e.classes?.length,70+34*r,s(uc,{data:e})],["confidence",
e.confidence?.length,60+130*(e.confidence?.length??0),s(cc,{data:e})],["quality",e.quality?.t.length,250,s(pc,{data:e,range:t})],["errors",e.errors?.length,70+32*
(e.errors?.length??0),s(Mh,{data:e})],["missing",e.missing?.t.length,190,s(mc,{data:e,range:t})],["gpus",e.gpus?.length,380*(e.gpus?.length??0),s(dc,{data:e,range:t})],
["loads",e.loads?.length,70+32*(e.loads?.length??0),s($h,{data:e})]];return s(z,{children:[s(oc,{items:o.filter(([,i])=>i).map(([i,,l,u])=>({name:i,height:l,show:u}))}),
s(fc,{data:e}),s(Ph,{data:e})]})}function yh({data:e,range:t}){if(!e.traffic?.t.length)return null;let{t:n,requests_per_s:r,errors_per_s:o}=e.traffic,i=[{label:"\
requests",values:r,tone:"now",fill:!0},{label:"errors",values:o,tone:"bad-mark"}];return s(ft,{title:"Traffic",note:"requests and errors per second",grid:()=>nn(
n,i),children:s(qt,{label:`Requests and errors per second of ${e.model}`,t:n,series:i,format:Cr,range:t})})}function xh({data:e,range:t}){if(!e.latency?.t.length)
return null;let{t:n,p50_s:r,p95_s:o,p99_s:i}=e.latency,l=[{label:"p50",values:r,tone:"now-soft"},{label:"p95",values:o,tone:"now"},{label:"p99",values:i,tone:"n\
ow-strong",dash:!0}],u=n.length>2?((n[2]??0)-(n[1]??0))/1e9:null;return s(ft,{title:"Latency",note:`of requests${u?`, each over ${J(u)}`:""}`,grid:()=>nn(n,l),children:s(
qt,{label:`Latency percentiles of ${e.model}`,t:n,series:l,format:J,range:t})})}function po(e){return e&&oa[e]||"other"}function kh({data:e,range:t,within:n}){let r=e.
stages??[];if(!r.length)return null;let o=r.find(u=>u.t?.length)?.t??[],i=r.filter(u=>u.t?.length).map(u=>({label:hc(u.stage),values:u.mean_s,tone:po(u.stage)})),
l=()=>({columns:["stage","count","share","p50 (s)","p95 (s)"],rows:r.map(u=>[u.stage,u.count,u.share,u.p50_s,u.p95_s])});return s(ft,{title:"Stages",note:`where\
 the time goes, ${n}`,grid:l,children:[s(Sh,{stages:r}),s("table",{class:"plain-table",children:[s("caption",{class:"hidden",children:"Stages of a prediction"}),
s("thead",{children:s("tr",{children:[s("th",{scope:"col",children:"Stage"}),s("th",{scope:"col",class:"num",children:"Time"}),s("th",{scope:"col",class:"num",children:"\
p50"}),s("th",{scope:"col",class:"num",children:"p95"}),s("th",{scope:"col",class:"num narrow",children:"Count"})]})}),s("tbody",{children:r.map(u=>s("tr",{children:[
s("th",{scope:"row",children:[s("i",{class:`swatch tone-${po(u.stage)}`}),hc(u.stage)]}),s("td",{class:"num",children:Fe(u.share)}),s("td",{class:"num",children:J(
u.p50_s)}),s("td",{class:"num",children:J(u.p95_s)}),s("td",{class:"num narrow",children:oe(u.count)})]},u.stage))})]}),i.length>0&&s(qt,{label:"Mean time of ea\
ch stage",t:o,series:i,format:J,range:t,height:90,legend:!1})]})}function hc(e){return e.replaceAll("_"," ")}function Sh({stages:e}){let t=0;return s("svg",{class:"\
stage-bar",width:"100%",height:"14","aria-hidden":"true",children:e.map(n=>{let r=t;return t+=(n.share??0)*100,s("rect",{class:`fill-${po(n.stage)}`,x:`${r}%`,width:`${(n.
share??0)*100}%`,height:"14"},n.stage)})})}function Th({data:e}){if(!e.slowest?.length)return null;let t=Math.max(...e.slowest.map(n=>n.duration_s));return s($t,
{title:"Slowest",note:"each leads to its trace",aside:s(ie,{class:"more",to:ee("/traces",{model:e.model,q:`version=${JSON.stringify(e.version)}`}),children:"All\
 traces"}),children:s("ul",{class:"rows",children:e.slowest.slice(0,6).map(n=>s("li",{children:[s(ie,{to:ee(`/trace/${n.trace_id}`),"data-row":!0,class:"mono",children:n.
trace_id.slice(0,8)}),s("span",{class:"muted",children:ke(n.start_ns/1e6)}),s(Hn,{of:n.duration_s/t}),s("span",{class:"num",children:J(n.duration_s)})]},n.trace_id))})})}
function Mh({data:e}){return e.errors?.length?s($t,{title:"Errors",note:ae(e.errors.reduce((t,n)=>t+n.count,0),"failed request"),aside:s(ie,{class:"more",to:ee(
"/traces",{model:e.model,errors:1}),children:"Their traces"}),children:s(Se,{caption:"Errors by type",rows:e.errors,id:t=>t.type,columns:[{name:"Type",wide:!0,show:t=>s(
He,{of:"bad",children:t.type||"(no type)"})},{name:"Count",numeric:!0,show:t=>oe(t.count)},{name:"Latest",numeric:!0,show:t=>t.trace_id&&s(ie,{class:"mono","dat\
a-row":!0,to:ee(`/trace/${t.trace_id}`),children:t.trace_id.slice(0,8)})}]})}):null}function $h({data:e}){return e.loads?.length?s($t,{title:"Loads",note:"when \
this model was loaded, promoted, let go",children:s(Se,{caption:"Loads of the model",rows:e.loads,id:(t,n)=>String(n),columns:[{name:"When",show:t=>Mt(t.time_ns/
1e6)},{name:"Event",wide:!0,show:t=>t.event},{name:"Framework",show:t=>t.framework},{name:"Device",show:t=>t.device}]})}):null}var Ch=[["stages",e=>!e.stages?.length,
'mark them: with otelml.stage("preprocessing")'],["classes and confidence",e=>!e.classes?.length&&!e.confidence?.length,"observe the result: prediction.observe(\
result)"],["drift",e=>!e.drift?.length,"give a reference: otelml profile, then OTELML_DRIFT_REFERENCE"],["quality",e=>!e.quality?.t.length,"say what came true: \
otelml.log_truth(prediction_id, truth)"],["GPU",e=>!e.gpus?.length,"none was seen on this machine"]];function Ph({data:e}){let t=Ch.filter(([,n])=>n(e));return!t.
length||ct().query.get("export")?null:s("p",{class:"absent",children:["Not recorded:"," ",t.map(([n,,r],o)=>s("span",{children:[o>0&&"; ",n," (",s("code",{children:r}),
")"]},n))]})}var bc=400;function Eh(e,t){let n=[],r=1/0;return e.forEach((o,i)=>{if(o.depth>r)return;r=t.has(o.span_id)?o.depth:1/0;let l=0;for(let u=i+1;u<e.length&&(e[u]?.
depth??0)>o.depth;u++)l+=1;n.push({span:o,children:l})}),n}function vc(e){return e.stage?po(e.stage):"other"}function yc({data:e,logsOf:t,chosen:n,onChoose:r}){
let[o,i]=re(new Set),[l,u]=re(bc),f=Qt(()=>Eh(e.spans,o),[e,o]),d=Math.max(e.duration_s,1e-9),m=_=>(_-e.start_ns)/1e9/d*100,g=_=>i(w=>{let x=new Set(w);return x.
delete(_)||x.add(_),x});return s("div",{class:"waterfall",children:[s(Lh,{length:d}),s("ol",{children:[f.slice(0,l).map(({span:_,children:w})=>s("li",{children:[
s(Rh,{span:_,below:w,folded:o.has(_.span_id),at:m,chosen:_.span_id===n,onChoose:r,onFold:g}),t?.get(_.span_id)?.map(x=>s(wc,{log:x,depth:_.depth,at:m(x.time_ns)},
String(x.id)))]},_.span_id)),t?.get("")?.map(_=>s("li",{children:s(wc,{log:_,depth:0,at:m(_.time_ns)})},String(_.id)))]}),f.length>l&&s("button",{type:"button",
class:"button",onClick:()=>u(l+2e3),children:[f.length-l," more spans"]})]})}function Lh({length:e}){return s("div",{class:"ruler","aria-hidden":"true",children:[
s("span",{}),s("span",{class:"marks",children:Bu(0,e*.93,5).map(t=>s("span",{class:"mark-at",style:{left:`${t/e*100}%`},children:J(t)},t))}),s("span",{})]})}function Rh({
span:e,below:t,folded:n,at:r,chosen:o,onChoose:i,onFold:l}){let u=_e(null);we(()=>{o&&u.current?.scrollIntoView({block:"nearest"})},[]);let f=r(e.start_ns),d=Math.
max(.15,r(e.start_ns+e.duration_ns)-f),m=e.status==="error",g=J(e.duration_ns/1e9);return s("div",{ref:u,class:`span-row${o?" chosen":""}${m?" failed":""}`,children:[
s("span",{class:"span-name",style:{paddingLeft:`${.25+Math.min(e.depth,20)*.75}rem`},children:[t?s("button",{type:"button",class:"fold","aria-expanded":!n,"aria\
-label":`${Ah(t)} below ${e.name}`,onClick:()=>l(e.span_id),children:s("span",{"aria-hidden":"true",children:n?"\u25B8":"\u25BE"})}):s("span",{class:"fold"}),s(
"button",{type:"button",class:"plain","data-row":!0,"aria-pressed":o,onClick:()=>i(e.span_id),children:[m&&s("span",{class:"bad","aria-hidden":"true",children:[
"\u25A0"," "]}),m&&s("span",{class:"hidden",children:"failed: "}),e.name||"(no name)",s("span",{class:"hidden",children:[", ",g]})]}),s("span",{class:"muted sma\
ll service",children:e.service}),e.orphan&&s("span",{class:"fair small",title:"its parent is not in this store",children:"\u25B2 orphan"})]}),s("span",{class:"b\
ars","aria-hidden":"true",onClick:()=>i(e.span_id),children:[s("span",{class:`bar fill-${vc(e)}${m?" bar-failed":""}`,style:{left:`${f}%`,width:`${d}%`}}),(e.critical??
[]).map(([_,w])=>s("span",{class:"critical",style:{left:`${r(_)}%`,width:`${Math.max(.1,r(w)-r(_))}%`}},_)),(e.events??[]).map((_,w)=>_.time_ns===void 0?null:s(
"span",{class:_.name==="exception"?"event bad":"event",style:{left:`${r(_.time_ns)}%`}},w))]}),s("span",{class:"length","aria-hidden":"true",children:g})]})}function Ah(e){
return`${e} span${e===1?"":"s"}`}function as(e){return e>=17?"bad":e>=13?"fair":"muted"}function wc({log:e,depth:t,at:n}){let r=Vt(e.body)||e.event_name;return s(
"div",{class:"log-row",children:[s("span",{class:"span-name",style:{paddingLeft:`${1.6+Math.min(t,20)*.75}rem`},children:[s("span",{class:`small ${as(e.severity)}`,
children:e.severity_text||"LOG"})," ",s("span",{class:"said",title:r,children:r})]}),s("span",{class:"bars","aria-hidden":"true",children:s("span",{class:`diamo\
nd ${as(e.severity)}`,style:{left:`${Math.max(0,Math.min(100,n))}%`}})})]})}var[Fl,Gr,_c]=[300,20,1100];function xc(e){let t=document.createElement("div"),n=document.
createElement("canvas");t.append(n);let r=e.spans.slice(0,bc),o=window.devicePixelRatio||1;n.width=_c*o,n.height=(r.length*Gr+8)*o;let i=n.getContext("2d");if(!i)
return t;i.scale(o,o),i.font="12px system-ui, sans-serif",i.textBaseline="middle";let l=_c-Fl-70,u=f=>Fl+(f-e.start_ns)/1e9/Math.max(e.duration_s,1e-9)*l;return r.
forEach((f,d)=>{let m=d*Gr,[g,_]=[u(f.start_ns),u(f.start_ns+f.duration_ns)];i.fillStyle=de("text"),i.fillText(f.name,f.depth*12,m+Gr/2,Fl-12-f.depth*12),i.fillStyle=
de(vc(f)),i.fillRect(g,m+4,Math.max(1,_-g),Gr-9),i.fillStyle=de("text");for(let[w,x]of f.critical??[])i.fillRect(u(w),m+Gr-4,Math.max(1,u(x)-u(w)),2);i.fillStyle=
f.status==="error"?de("bad-mark"):de("muted"),i.fillText(J(f.duration_ns/1e9)+(f.status==="error"?" \u25A0":""),_+5,m+Gr/2)}),t}var Dh=["","internal","server","client","producer","consumer"];function kc({span:e,trace:t,logs:n,onClose:r}){let o=typeof e.kind=="number"?Dh[e.kind]:e.kind,i=(e.
critical??[]).reduce((l,[u,f])=>l+f-u,0)/1e9;return s("aside",{class:"panel detail","aria-label":`Span ${e.name}`,children:[s("div",{class:"caption",children:[s(
"h2",{children:e.name||"(no name)"}),s("button",{type:"button",class:"icon","aria-label":"Close the span",onClick:r,children:s("span",{"aria-hidden":"true",children:"\
\u2715"})})]}),s("p",{class:"muted",children:[e.service,o?` \xB7 ${o}`:""," \xB7 ",J(e.duration_ns/1e9)," from"," ",J((e.start_ns-t.start_ns)/1e9),i>0&&` \xB7 ${J(
i)} on the critical path`]}),e.status==="error"&&s("p",{class:"bad",children:["\u25A0 ",e.status_message||"failed"]}),s(Er,{of:e.attributes,onPick:(l,u)=>It(ee(
"/traces",{q:Vr("",l,u)}))}),(e.events?.length??0)>0&&s("h3",{children:"Events"}),(e.events??[]).map((l,u)=>s("div",{class:"event-box",children:[s("p",{children:[
l.name," ",l.time_ns!==void 0&&s("span",{class:"muted",children:["at ",J((l.time_ns-t.start_ns)/1e9)]})]}),s(Er,{of:l.attributes??{}})]},u)),(e.links?.length??0)>
0&&s("h3",{children:"Links"}),s("ul",{class:"links",children:(e.links??[]).map(l=>s("li",{children:l.known===!1?s("span",{class:"mono muted",children:[l.trace_id.
slice(0,16)," (not in this store)"]}):s(ie,{class:"mono",to:ee(`/trace/${l.trace_id}`,{span:l.span_id}),children:l.trace_id.slice(0,16)})},l.trace_id+l.span_id))}),
n.length>0&&s("h3",{children:"Logs"}),n.map(l=>s("p",{class:"log-line",children:[s("span",{class:"muted",children:ke(l.time_ns/1e6,!0)})," ",s("span",{class:as(
l.severity),children:l.severity_text})," ",Vt(l.body)||l.event_name]},String(l.id))),s("p",{class:"muted small mono",children:["trace ",t.trace_id,s("br",{}),"s\
pan ",e.span_id]})]})}function Tc({id:e}){let t=Le("/api/trace",{id:e},{timeless:!0}),{data:n}=t,r=n?.spans[0];return s(z,{children:[s(We,{title:r?r.name:"Trace",answer:n?.spans.length?
Hh(n):void 0,children:n&&s(On,{title:`Trace ${e.slice(0,8)}`,links:t,chart:()=>xc(n)})}),s(je,{answer:t,empty:o=>!o.spans.length,signal:"such trace",children:o=>s(
Nh,{data:o})})]})}function Oh(e){return e.spans.map(n=>[n,(n.critical??[]).reduce((r,[o,i])=>r+(i-o),0)/1e9]).filter(([,n])=>n>0).sort((n,r)=>r[1]-n[1])}function Hh(e){
let t=e.spans.filter(r=>r.status==="error"),[n]=Oh(e);return s(z,{children:[Mt(e.start_ns/1e6),".",ke(e.start_ns/1e6,!0).split(".")[1],": ",J(e.duration_s)," in",
" ",ae(e.spans.length,"span")," of ",e.services.join(", "),n&&e.duration_s>0&&`; ${Fe(n[1]/e.duration_s)} of it in ${n[0].name}`,t.length>0&&s(z,{children:["; ",
s(He,{of:"bad",children:[ae(t.length,"span")," failed",t.at(-1)?.status_message?`: ${t.at(-1)?.status_message}`:""]})]}),"."]})}function Nh({data:e}){let{query:t}=Ve(),
[n,r]=re(!0),o=t.get("span"),i=Qt(()=>e.spans.find(u=>u.span_id===o)??null,[e,o]),l=Qt(()=>Map.groupBy(e.logs,u=>u.span_id),[e]);return s(z,{children:[s(Ih,{data:e}),
s("div",{class:i?"trace with-detail":"trace",children:[s("section",{class:"panel flush","aria-label":"Waterfall",children:[s("div",{class:"caption",children:[s(
"h2",{children:"Spans"}),s("span",{class:"muted note",children:[s("i",{class:"line-mark"})," critical path",s(Fh,{spans:e.spans})]}),e.logs.length>0&&s("button",
{type:"button",class:"toggle small-toggle","aria-pressed":n,onClick:()=>r(!n),children:[ae(e.logs.length,"log")," in place"]})]}),s(yc,{data:e,logsOf:n?l:null,chosen:o,
onChoose:u=>pe({span:u===o?null:u},!0)})]}),i&&s(kc,{span:i,trace:e,logs:l.get(i.span_id)??[],onClose:()=>pe({span:null},!0)})]})]})}var Sc=["feature_retrieval",
"preprocessing","inference","postprocessing"];function Fh({spans:e}){let t=Sc.filter(n=>e.some(r=>r.stage===n));return s(z,{children:t.map(n=>s("span",{class:"k\
ey",children:[s("i",{class:`swatch tone-stage-${Sc.indexOf(n)+1}`}),n.replaceAll("_"," ")]},n))})}function Ih({data:e}){let t=e.spans.flatMap(r=>r.links??[]).filter(
r=>r.trace_id!==e.trace_id),n=[...new Map([...t,...e.linked_from??[]].filter(r=>r.trace_id!==e.trace_id).map(r=>[r.trace_id,r])).values()];return n.length?s("p",
{class:"joined",children:["Linked: ",ae(n.length,"trace")," ",n.slice(0,24).map(r=>"known"in r&&r.known===!1?s("span",{class:"mono muted",title:"not in this sto\
re",children:r.trace_id.slice(0,8)},r.trace_id):s(ie,{class:"mono",to:ee(`/trace/${r.trace_id}`,{span:r.span_id}),children:r.trace_id.slice(0,8)},r.trace_id)),n.
length>24&&` and ${n.length-24} more`]}):null}var Ec=[{keys:"g m",what:"Models"},{keys:"g t",what:"Traces"},{keys:"g l",what:"Logs"},{keys:"g x",what:"Metrics"},{keys:"g s",what:"SLOs and alerts"},{keys:"g \
h",what:"Health of telemetry"},{keys:"/",what:"To the search box"},{keys:"j  k",what:"Next, previous row"},{keys:"Enter",what:"Open the row"},{keys:"p",what:"Pa\
use or follow"},{keys:"[  ]",what:"Earlier, later"},{keys:"e",what:"Errors only (traces)"},{keys:"d",what:"Dark or light"},{keys:"?",what:"This list"},{keys:"Es\
c",what:"Close, leave the box"}],zh={m:"/",t:"/traces",l:"/logs",x:"/metrics",s:"/slos",h:"/health"},Lc="otelml-keys-off",Il="",Rc=()=>{};function zl(){try{return window.
localStorage.getItem(Lc)==="1"}catch{return!1}}function Ac(e){try{window.localStorage.setItem(Lc,e?"1":"0")}catch{}}function Vl(){let e=Zt(ct().query,fn());Ji()?
mn(e.from,e.to):Do("15m")}function Mc(e){let t=Zt(ct().query,fn()),n=(t.to-t.from)/2*e;mn(t.from+n,t.to+n)}function $c(e){let t=[...document.querySelectorAll("[\
data-row]")].filter(o=>o.offsetParent!==null),n=t.findIndex(o=>o===document.activeElement||o.contains(document.activeElement)),r=t[Math.max(0,Math.min(t.length-
1,n<0?e>0?0:t.length-1:n+e))];r?.focus(),r?.scrollIntoView({block:"nearest"})}var Vh={"/":()=>document.querySelector("[data-search]")?.focus(),j:()=>$c(1),k:()=>$c(
-1),p:Vl,"[":()=>Mc(-1),"]":()=>Mc(1),d:No,e:()=>{ct().path==="/traces"&&pe({errors:ct().query.get("errors")?null:1,cursor:null})},"?":()=>Rc()};function Cc(e){
return e instanceof HTMLElement&&(e.isContentEditable||/^(INPUT|SELECT|TEXTAREA)$/.test(e.tagName))}function Pc(e){if(e.key==="Escape"&&Cc(e.target)&&e.target.blur(),
e.ctrlKey||e.metaKey||e.altKey||Cc(e.target)||e.defaultPrevented||zl()&&e.key!=="?")return;let t=Il==="g"?zh[e.key]:void 0;Il=e.key;let n=t===void 0?Vh[e.key]:()=>It(
ee(t));n&&(e.preventDefault(),Il="",n())}function Dc(e){return Rc=e,window.addEventListener("keydown",Pc),()=>window.removeEventListener("keydown",Pc)}var Wh=[["/","Models"],["/traces","Traces"],["/logs","Logs"],["/metrics","Metrics"],["/slos","SLOs"],["/health","Health"]];function Hc({area:e,title:t,children:n}){
let[r,o]=re(!1);return we(()=>Dc(()=>o(i=>!i)),[]),we(()=>{document.title=`${t} \xB7 otelml`},[t]),s(z,{children:[s("a",{class:"skip",href:"#main",children:"To \
the content"}),s("header",{class:"top",children:[s(ie,{to:ee("/"),class:"brand","aria-label":"otelml, models",children:[s(jh,{}),"otelml"]}),s("nav",{"aria-labe\
l":"Pages",children:Wh.map(([i,l])=>s(ie,{to:ee(i),"aria-current":i===e?"page":void 0,children:l},i))}),s(Gh,{onHelp:()=>o(!0)})]}),s(Uh,{}),s("main",{id:"main",
tabIndex:-1,children:n}),s(Kh,{}),r&&s(Yh,{onClose:()=>o(!1)})]})}function jh(){return s("svg",{viewBox:"0 0 16 16",width:"18",height:"18","aria-hidden":"true",
class:"mark",children:s("path",{d:"M1 11h3l2-7 4 9 2-5h3"})})}function Gh({onHelp:e}){let t=ro(),r=Pr()==="dark"?"light":"dark";return s("div",{class:"controls",
children:[s(qh,{range:t}),s("button",{type:"button",class:t.live?"live on":"live",onClick:Vl,title:t.live?"Pause (p)":"Follow (p)","aria-pressed":t.live,children:[
s("span",{class:"dot","aria-hidden":"true"}),"Live"]}),s("button",{type:"button",class:"icon",onClick:No,"aria-label":`Use the ${r} theme`,title:`${r} (d)`,children:s(
"span",{"aria-hidden":"true",children:"\u25D0"})}),s("button",{type:"button",class:"icon",onClick:e,"aria-label":"Keyboard shortcuts",title:"Shortcuts (?)",children:s(
"span",{"aria-hidden":"true",children:"?"})})]})}function qh({range:e}){let t=r=>{let o=r.target.value;o==="fixed"?mn(e.from,e.to):Do(o)},n=Bs.some(([r])=>r===e.
last);return s(z,{children:[!e.live&&s(Bh,{range:e}),s("select",{"aria-label":"Time range",value:e.live?e.last:"fixed",onChange:t,children:[e.live&&!n&&s("optio\
n",{value:e.last,children:["Last ",e.last]}),Bs.map(([r,o])=>s("option",{value:r,children:o},r)),s("option",{value:"fixed",children:"From \u2026 to \u2026"})]})]})}
function Oc(e){return new Date(e-new Date(e).getTimezoneOffset()*6e4).toISOString().slice(0,19)}function Bh({range:e}){let t=(r,o)=>{Number.isFinite(r)&&Number.
isFinite(o)&&o>r&&mn(r,o)},n=r=>new Date(r.target.value).getTime();return s("span",{class:"fixed",children:[s("input",{type:"datetime-local",step:"1","aria-labe\
l":"From",value:Oc(e.from),onChange:r=>t(n(r),e.to)}),s("span",{"aria-hidden":"true",children:"\u2013"}),s("input",{type:"datetime-local",step:"1","aria-label":"\
To",value:Oc(e.to),onChange:r=>t(e.from,n(r))})]})}function Uh(){let{refused:e}=Ft();return e?s("p",{class:"lost",role:"alert",children:[s("b",{children:e.message}),
" ",e.fix]}):null}function Kh(){let{version:e}=Ft(),t=ro();return e?s("footer",{class:"foot",children:[s("span",{children:[Mt(t.from)," \u2013 ",t.live?ke(t.to):
Mt(t.to)," \xB7 times in ",ea()]}),s("span",{children:e.remote?Object.entries(e.remote).filter(([,n])=>n).map(([n,r])=>`${n} at ${r}`).join(" \xB7 "):`${oe(e.spans)}\
 spans \xB7 ${oe(e.logs)} logs \xB7 ${oe(e.points)} points stored`}),s("span",{children:["otelml ",e.version]})]}):s("footer",{class:"foot"})}function Yh({onClose:e}){
let t=_e(null),[n,r]=re(zl);return we(()=>t.current?.showModal(),[]),s("dialog",{ref:t,class:"help",onClose:e,"aria-labelledby":"help-title",children:[s("h2",{id:"\
help-title",children:"Shortcuts"}),s("dl",{children:Ec.map(({keys:o,what:i})=>s("div",{children:[s("dt",{children:o.split(" ").filter(Boolean).map(l=>s("kbd",{children:l},
l))}),s("dd",{children:i})]},o))}),s("p",{class:"muted",children:"Drag over a chart to look closer. Every address can be shared."}),s("label",{children:[s("inpu\
t",{type:"checkbox",checked:!n,onChange:o=>{Ac(!o.target.checked),r(!o.target.checked)}})," ","Single-key shortcuts"]}),s("button",{type:"button",class:"button",
onClick:()=>t.current?.close(),children:"Close"})]})}function Jh(){return s("p",{class:"answer",children:["There is no page at this address. ",s(ie,{to:ee("/"),children:"To the models"})]})}function Qh(e){let[t="",
n="",r=""]=e.split("/").slice(1).map(Zh),o={"":()=>({area:"/",title:"Models",view:s(ca,{})}),model:()=>({area:"/",title:`${n} ${r}`,view:s(gc,{model:n,version:r},
`${n}/${r}`)}),compare:()=>({area:"/",title:`Versions of ${n}`,view:s(ma,{model:n},n)}),traces:()=>({area:"/traces",title:"Traces",view:s(Ju,{})}),trace:()=>({area:"\
/traces",title:`Trace ${n.slice(0,8)}`,view:s(Tc,{id:n},n)}),"compare-traces":()=>({area:"/traces",title:"Two traces",view:s(pa,{})}),logs:()=>({area:"/logs",title:"\
Logs",view:s(Qu,{})}),metrics:()=>({area:"/metrics",title:"Metrics",view:s(rc,{})}),metric:()=>({area:"/metrics",title:n,view:s(nc,{name:n},n)}),slos:()=>({area:"\
/slos",title:"SLOs and alerts",view:s(Wu,{})}),health:()=>({area:"/health",title:"Health of telemetry",view:s(Gu,{})})};return(Object.hasOwn(o,t)?o[t]?.():void 0)??
{area:"",title:"No such page",view:s(Jh,{})}}function Zh(e){try{return decodeURIComponent(e)}catch{return e}}function Nc(){let{path:e}=Ve(),{area:t,title:n,view:r}=Qh(
e);return s(Hc,{area:t,title:n,children:r})}var Fc=document.getElementById("app");Fc&&Ei(s(Nc,{}),Fc);})();
